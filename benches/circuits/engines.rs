//! Engines for a model, and few samples of slow passes.

use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, SamplingMode};
use nac_benches::measure::{EngineKind, MeasuredModel, ModelSource, Named, Pass, open};
use nac_engine::Precision;
use nac_train::config::{Executor, Precision as TrainingPrecision};
use tch::Device;

/// All engines, the baseline first.
pub(crate) const ALL: [EngineKind; 3] = [EngineKind::Naive, EngineKind::Torch, EngineKind::Core];

/// Those that train.
pub(crate) const TRAINING: [EngineKind; 2] = [EngineKind::Naive, EngineKind::Torch];

/// An engine for a pass, with weights of seed 0, on all cores.
pub(crate) fn engine(kind: EngineKind, model: &Named, pass: Pass) -> Box<dyn MeasuredModel> {
    let source = ModelSource {
        model: &model.file,
        device: Device::Cpu,
        weights: Precision::F32,
        threads: 0,
        load: None,
        pass,
        executor: Executor::default(),
        precision: TrainingPrecision::default(),
    };
    open(kind, &source).expect("presets build")
}

/// A group of benchmarks that take long: ten samples, as few passes as can be.
pub(crate) fn slow_group<'a>(
    criterion: &'a mut Criterion,
    name: &str,
) -> BenchmarkGroup<'a, WallTime> {
    let mut group = criterion.benchmark_group(name);
    group
        .sample_size(10)
        .sampling_mode(SamplingMode::Flat)
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_millis(500));
    group
}
