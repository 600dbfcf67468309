//! Whole models in evaluation, in images per second: the authors' way of computing, our layers on libtorch, nac-engine.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput};
use nac_benches::measure::{Batch, EngineKind, Named, Pass};
use nac_engine::Precision;
use tch::Device;

use crate::engines::{ALL, engine, slow_group};

/// Batches of each model; the second number is the largest that the baseline has memory for.
const MODELS: [(&str, usize); 3] = [("chonker", 8), ("tiny-nac", 32), ("perceiver-io", 32)];

pub(crate) fn bench(criterion: &mut Criterion) {
    for (word, largest) in MODELS {
        let model = Named::resolve(word).expect("there is such a model");
        let mut group = slow_group(criterion, &format!("forward/{word}"));
        for batch in [1, 8, 32] {
            let images = Batch::random(&model, batch, Device::Cpu, Precision::F32);
            let images = images.expect("presets read images");
            group.throughput(Throughput::Elements(batch as u64));
            for kind in ALL {
                if kind == EngineKind::Naive && batch > largest {
                    continue;
                }
                // Built when it runs, so that a filter on the command line skips building the others.
                let mut built = None;
                group.bench_function(BenchmarkId::new(kind.to_string(), batch), |b| {
                    let engine = built.get_or_insert_with(|| engine(kind, &model, Pass::Forward));
                    b.iter(|| black_box(engine.forward(&images).expect("images fit")));
                });
            }
        }
        group.finish();
    }
}
