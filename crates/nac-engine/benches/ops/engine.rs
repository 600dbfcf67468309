//! The engine without libtorch: its operations in each precision, and small whole models.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput};
use nac_core::model::Preset;
use nac_engine::{CoreEngine, Engine, EngineOptions, Operation, Precision, Probe, RandomInputs};
use ndarray::Array2;

use crate::scaling::Scaling;

const PRECISIONS: [Precision; 3] = [Precision::F32, Precision::Bf16, Precision::Int8];

/// Operations of the 640-module ImageNet circuit, in floating-point operations per second.
fn operations(criterion: &mut Criterion) {
    let items = 640;
    let all = [
        (
            "mod_fc",
            Operation::Projection {
                inputs: 384,
                outputs: 512,
                items,
            },
        ),
        (
            "mod_ffn",
            Operation::FeedForward {
                state: 384,
                capacity: 4,
                items,
            },
        ),
        (
            "skmdpa",
            Operation::Attention {
                heads: 8,
                head_dim: 64,
                items,
            },
        ),
    ];
    for (name, operation) in all {
        let mut group = criterion.benchmark_group(format!("engine/{name}"));
        group.sample_size(20);
        for precision in PRECISIONS {
            let options = EngineOptions {
                precision,
                ..Default::default()
            };
            let mut probe = Probe::new(operation, &options).expect("sizes are positive");
            // "Elements" are floating-point operations.
            group.throughput(Throughput::Elements(probe.operations() as u64));
            group.bench_function(BenchmarkId::from_parameter(format!("{precision:?}")), |b| {
                b.iter(|| probe.run());
            });
        }
        group.finish();
    }
}

/// Attention by number of modules, for the exponent.
fn attention_by_modules(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("engine/skmdpa_by_modules");
    group.sample_size(10);
    let mut scaling = Scaling::new("engine/skmdpa", "modules");
    for items in [320, 640, 1280, 2560] {
        let operation = Operation::Attention {
            heads: 8,
            head_dim: 64,
            items,
        };
        let mut probe =
            Probe::new(operation, &EngineOptions::default()).expect("sizes are positive");
        group.throughput(Throughput::Elements(probe.operations() as u64));
        group.bench_function(BenchmarkId::from_parameter(items), |b| {
            scaling.time(b, items as f64, || probe.run());
        });
    }
    group.finish();
    scaling.report();
}

/// Whole models with random weights, in examples per second.
fn models(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("engine/model");
    group.sample_size(10);
    for name in [
        "cpu-digits",
        "cpu-listops",
        "tiny-imagenet-scale-free",
        "imagenet-chonker",
    ] {
        let file = Preset::get(name).expect("the preset exists").file;
        let (engine, _) =
            CoreEngine::random(file, 0, EngineOptions::default()).expect("presets can be run");
        let made = RandomInputs::new(engine.inputs(), 1, 0);
        let inputs = made.all();
        let mut logits = Array2::zeros((1, engine.output().width()));
        group.throughput(Throughput::Elements(1));
        group.bench_function(BenchmarkId::from_parameter(name), |b| {
            b.iter(|| {
                engine
                    .infer_into(&inputs, logits.view_mut())
                    .expect("the input fits");
                black_box(&logits);
            });
        });
    }
    group.finish();
}

pub(crate) fn bench(criterion: &mut Criterion) {
    operations(criterion);
    attention_by_modules(criterion);
    models(criterion);
}
