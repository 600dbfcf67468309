//! Relaxed Bernoulli log samples, in links per second.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput};
use nac_core::{LinkKernel, RelaxedBernoulli, Streams, cosine_distance};

use super::random_signatures;

pub(crate) fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("relaxed");
    group.sample_size(20);
    let modules = 640;
    let signatures = random_signatures("signatures", modules);
    let distance = cosine_distance(signatures.view(), signatures.view()).expect("finite");
    let log = LinkKernel::default().log_link_probability(distance.view());
    let log = log.expect("finite");
    let distribution = RelaxedBernoulli::new(0.5).expect("in range");
    for batch in [1_usize, 8] {
        group.throughput(Throughput::Elements((batch * modules * modules) as u64));
        group.bench_function(BenchmarkId::new("log_sample_from", batch), |b| {
            let mut stream = Streams::new(0).stream("uniforms");
            b.iter(|| {
                let sample = distribution.log_sample_from(log.view(), batch, &mut stream);
                black_box(sample.expect("finite"))
            });
        });
    }
    group.finish();
}
