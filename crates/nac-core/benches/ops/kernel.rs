//! From signatures to link probabilities, in pairs per second.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput};
use nac_core::{LinkKernel, cosine_distance, normalize_along_keys};

use super::random_signatures;
use crate::scaling::Scaling;

pub(crate) fn bench(criterion: &mut Criterion) {
    let kernel = LinkKernel::new(0.25).and_then(|kernel| kernel.with_truncation(0.9));
    let kernel = kernel.expect("in range");
    let mut group = criterion.benchmark_group("kernel");
    let mut scaling = [
        Scaling::new("kernel/cosine_distance", "modules"),
        Scaling::new("kernel/link_probability", "modules"),
        Scaling::new("kernel/normalize_along_keys", "modules"),
    ];
    for modules in [320_usize, 640, 2_560] {
        let signatures = random_signatures("signatures", modules);
        let distance = cosine_distance(signatures.view(), signatures.view()).expect("finite");
        let log = kernel
            .log_link_probability(distance.view())
            .expect("finite");
        group.throughput(Throughput::Elements((modules * modules) as u64));
        let [first, second, third] = &mut scaling;
        group.bench_function(BenchmarkId::new("cosine_distance", modules), |b| {
            first.time(b, modules as f64, || {
                black_box(cosine_distance(signatures.view(), signatures.view()).expect("finite"));
            });
        });
        group.bench_function(BenchmarkId::new("link_probability", modules), |b| {
            second.time(b, modules as f64, || {
                black_box(kernel.link_probability(distance.view()).expect("finite"));
            });
        });
        group.bench_function(BenchmarkId::new("normalize_along_keys", modules), |b| {
            third.time(b, modules as f64, || {
                black_box(normalize_along_keys(log.view()));
            });
        });
    }
    group.finish();
    scaling.iter().for_each(Scaling::report);
}
