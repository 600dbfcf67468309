//! Matrix products of training on one thread, in floating-point operations per second.

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};
use nac_engine::training::{Compute, ProductProbe, TrainingPrecision};

/// Rows, inputs and outputs: the ListOps circuit with a batch of 64, and the 640-module circuit with a batch of 2.
const SIZES: [(&str, usize, usize, usize); 5] = [
    ("small/expand", 2048, 64, 256),
    ("small/contract", 2048, 128, 64),
    ("large/expand", 1280, 384, 3072),
    ("large/contract", 1280, 1536, 384),
    ("large/project", 1280, 384, 512),
];

/// A product of a [`ProductProbe`].
type Pass = fn(&mut ProductProbe, &Compute);

const PASSES: [(&str, Pass); 4] = [
    ("pack", ProductProbe::pack),
    ("forward", ProductProbe::forward),
    ("backward", ProductProbe::backward),
    ("weight_gradient", ProductProbe::weight_gradient),
];

pub(crate) fn bench(criterion: &mut Criterion) {
    for precision in [TrainingPrecision::F32, TrainingPrecision::Mixed] {
        let compute = Compute::new(1, precision).expect("one thread is the caller's own");
        for (size, rows, inputs, outputs) in SIZES {
            let mut group = criterion.benchmark_group(format!("training_product/{size}"));
            group.sample_size(10);
            // A fresh probe, since products are written over operands and grow with every pass.
            let setup = || ProductProbe::new(rows, inputs, outputs);
            // "Elements" are floating-point operations.
            group.throughput(Throughput::Elements(setup().operations() as u64));
            for (name, pass) in PASSES {
                group.bench_function(BenchmarkId::new(name, precision), |b| {
                    b.iter_batched_ref(setup, |probe| pass(probe, &compute), BatchSize::LargeInput);
                });
            }
            group.finish();
        }
    }
}
