//! Whole models, forward and training step, in images per second: the circuit beside the baseline.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput};
use nac_benches::{forward_backward, infer, small_batch, small_model};
use nac_modules::model::ModelKind;

pub(crate) fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("whole_cpu");
    group.sample_size(20);
    for kind in [ModelKind::Nac, ModelKind::PerceiverIo] {
        let model = small_model(kind).expect("the benchmark's model builds");
        for batch in [1_i64, 32] {
            let (inputs, labels) = small_batch(batch);
            group.throughput(Throughput::Elements(batch.unsigned_abs()));
            group.bench_function(BenchmarkId::new(format!("{kind}/forward"), batch), |b| {
                b.iter(|| black_box(infer(model.as_ref(), &inputs).expect("runs")));
            });
            group.bench_function(
                BenchmarkId::new(format!("{kind}/forward_backward"), batch),
                |b| {
                    b.iter(|| {
                        forward_backward(model.as_ref(), &inputs, &labels).expect("runs backward")
                    });
                },
            );
        }
    }
    group.finish();
}
