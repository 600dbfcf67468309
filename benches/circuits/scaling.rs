//! How a forward pass grows with modules and with tokens, with fitted exponents.
//!
//! The exponents are printed, and written with their points to `target/tmp/scaling-*.json`. How sampling grows with edges
//! is among the benchmarks of nac-core.

use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput};
use nac_benches::measure::{Batch, EngineKind, MeasuredModel, Named, Pass};
use nac_benches::scaling::Scaling;
use nac_core::model::InputSpec;
use nac_engine::Precision;
use tch::Device;

use crate::engines::{ALL, engine, slow_group};

/// Modules, on 784 tokens.
const MODULES: [usize; 4] = [160, 320, 640, 1280];
/// Side of the image in pixels, for 640 modules; 1/64 of its square are tokens.
const SIDES: [usize; 4] = [64, 112, 160, 224];

pub(crate) fn bench(criterion: &mut Criterion) {
    grow(criterion, "modules", &MODULES, |model, modules| {
        model.file.model.circuit.modules = modules;
        modules
    });
    grow(criterion, "tokens", &SIDES, |model, side| {
        model.file.inputs = InputSpec::image(3, side, side);
        side * side / 64
    });
}

/// Measures the circuit at sizes set by `change`.
fn grow(
    criterion: &mut Criterion,
    what: &str,
    numbers: &[usize],
    change: impl Fn(&mut Named, usize) -> usize,
) {
    let mut group = slow_group(criterion, &format!("scaling/{what}"));
    for kind in ALL {
        let mut scaling = Scaling::new(format!("chonker forward, {kind}"), what);
        for &number in numbers {
            let mut model = Named::resolve("chonker").expect("there is such a model");
            let size = change(&mut model, number);
            group.throughput(Throughput::Elements(1));
            let mut built = None;
            group.bench_function(BenchmarkId::new(kind.to_string(), size), |b| {
                let (engine, images) = built.get_or_insert_with(|| prepare(kind, &model));
                b.iter_custom(|passes| {
                    let mut total = Duration::ZERO;
                    for _ in 0..passes {
                        let begun = Instant::now();
                        let _ = black_box(engine.forward(images).expect("images fit"));
                        let time = begun.elapsed();
                        scaling.add(size as f64, time.as_secs_f64());
                        total += time;
                    }
                    total
                });
            });
        }
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        scaling
            .report(folder)
            .expect("the folder of cargo can be written");
    }
    group.finish();
}

fn prepare(kind: EngineKind, model: &Named) -> (Box<dyn MeasuredModel>, Batch) {
    let images = Batch::random(model, 1, Device::Cpu, Precision::F32);
    (
        engine(kind, model, Pass::Forward),
        images.expect("presets read images"),
    )
}
