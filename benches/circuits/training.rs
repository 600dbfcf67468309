//! Whole models in training: sampled links, cross-entropy and all gradients, in images per second.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput};
use nac_benches::measure::{Batch, Named, Pass};
use nac_engine::Precision;
use tch::Device;

use crate::engines::{TRAINING, engine, slow_group};

/// Batches of each model.
const MODELS: [(&str, &[usize]); 3] = [
    ("chonker", &[1, 2]),
    ("tiny-nac", &[1, 8, 32]),
    ("perceiver-io", &[1, 8, 32]),
];

pub(crate) fn bench(criterion: &mut Criterion) {
    for (word, batches) in MODELS {
        let model = Named::resolve(word).expect("there is such a model");
        let mut group = slow_group(criterion, &format!("training/{word}"));
        for &batch in batches {
            let images = Batch::random(&model, batch, Device::Cpu, Precision::F32);
            let images = images.expect("presets read images");
            group.throughput(Throughput::Elements(batch as u64));
            for kind in TRAINING {
                let mut built = None;
                group.bench_function(BenchmarkId::new(kind.to_string(), batch), |b| {
                    let engine = built.get_or_insert_with(|| engine(kind, &model, Pass::Train));
                    b.iter(|| black_box(engine.train(&images).expect("images fit")));
                });
            }
        }
        group.finish();
    }
}
