//! Blocks of training, forward and backward, at the sizes of the small circuit and of the ImageNet circuit.

use std::time::Duration;

use criterion::{BenchmarkId, Criterion};
use nac_engine::training::{Compute, TrainingPrecision};

use crate::circuit::{Circuit, Sizes, Times};

/// The circuit of the quick ListOps profile.
const SMALL: Sizes = Sizes {
    batch: 64,
    modules: 32,
    state: 64,
    codes: 64,
    heads: 4,
    head_dim: 16,
    hidden: 128,
    tokens: 50,
    token_dim: 64,
    readout: 8,
    layers: 4,
};

/// One of the eight propagators of the 640-module ImageNet circuit, with read-in and read-out.
const LARGE: Sizes = Sizes {
    batch: 2,
    modules: 640,
    state: 384,
    codes: 384,
    heads: 8,
    head_dim: 64,
    hidden: 1536,
    tokens: 784,
    token_dim: 256,
    readout: 64,
    layers: 1,
};

/// What of a step is timed.
type Part = (&'static str, fn(&Times) -> Duration);

const PARTS: [Part; 10] = [
    ("modulation", |times| times.modulation),
    ("links", |times| times.links),
    ("read_in/forward", |times| times.read_in[0]),
    ("read_in/backward", |times| times.read_in[1]),
    ("skmdpa/forward", |times| times.attention[0]),
    ("skmdpa/backward", |times| times.attention[1]),
    ("feed_forward/forward", |times| times.feed_forward[0]),
    ("feed_forward/backward", |times| times.feed_forward[1]),
    ("read_out/forward", |times| times.read_out[0]),
    ("read_out/backward", |times| times.read_out[1]),
];

pub(crate) fn bench(criterion: &mut Criterion) {
    for (size, sizes) in [("small", SMALL), ("large", LARGE)] {
        for precision in [TrainingPrecision::F32, TrainingPrecision::Mixed] {
            let name = format!("training/{size}/{precision}");
            let mut group = criterion.benchmark_group(&name);
            group.sample_size(10);
            let compute = Compute::new(0, precision).expect("the machine has threads");
            let mut circuit = Circuit::new(sizes);
            group.bench_function("step", |b| b.iter(|| circuit.step(&compute)));
            for (part, time) in PARTS {
                group.bench_function(BenchmarkId::from_parameter(part), |b| {
                    b.iter_custom(|steps| {
                        circuit.times = Times::default();
                        for _ in 0..steps {
                            circuit.step(&compute);
                        }
                        time(&circuit.times)
                    });
                });
            }
            group.finish();
        }
    }
}
