//! The loader from end to end: JPEG files of a folder to augmented batches, in images per second.

mod support;

use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use nac_data::transform::from_specs;
use nac_data::{Dataset as _, Loader, LoaderOptions};

const COUNT: usize = 64;

fn loader(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut group = criterion.benchmark_group("loader");
    group.throughput(Throughput::Elements(COUNT as u64));
    group
        .measurement_time(Duration::from_secs(8))
        .sample_size(20);
    for (label, size, side) in support::SIZES {
        let files = support::Files::write(folder.path(), COUNT, size, side);
        let pipelines: [(&str, &[&str]); 3] = [
            ("plain", &[]),
            (
                "jitter",
                &[
                    "random_resized_crop:0.08-1",
                    "horizontal_flip",
                    "colour_jitter:0.4,0.4,0.4,0.1",
                ],
            ),
            (
                "rand_augment",
                &[
                    "random_resized_crop:0.08-1",
                    "horizontal_flip",
                    "rand_augment:m9-mstd0.5-inc1",
                ],
            ),
        ];
        for (name, specs) in pipelines {
            let specs: Vec<String> = specs.iter().map(ToString::to_string).collect();
            let transform = from_specs(&specs, files.info()).expect("transforms");
            for workers in [0, 2] {
                let options = LoaderOptions {
                    batch_size: 16,
                    shuffle: true,
                    workers,
                    transform: transform.clone(),
                    ..LoaderOptions::default()
                };
                let loader = Loader::new(Arc::clone(&files) as _, options).expect("a loader");
                let mut epoch = 0;
                group.bench_function(format!("{name}/{label}/{workers} workers"), |b| {
                    b.iter(|| {
                        epoch += 1;
                        loader
                            .epoch(epoch, 0)
                            .map(|batch| batch.expect("a batch").len())
                            .sum::<usize>()
                    });
                });
            }
        }
    }
}

criterion_group!(benches, loader);
criterion_main!(benches);
