//! The loader from end to end: JPEG files of a folder to augmented batches, in images per second.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod support;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use nac_data::image_file::{self, prepare};
use nac_data::transform::from_specs;
use nac_data::{
    DataError, Dataset, DatasetInfo, Example, InputKind, InputSpec, Loader, LoaderOptions,
    Normalization, OutputSpec, Resize, ResizeFilter, Target,
};

const COUNT: usize = 64;

/// JPEG files of a folder, resized to a square.
struct Files {
    info: DatasetInfo,
    files: Vec<PathBuf>,
    side: usize,
}

impl Files {
    /// Writes `count` files of `size` into `folder`.
    fn write(folder: &Path, count: usize, size: [usize; 2], side: usize) -> Arc<Self> {
        let files = (0..count).map(|index| {
            let path = folder.join(format!("{index}.jpg"));
            std::fs::write(&path, support::jpeg(size, index as u64)).expect("a writable folder");
            path
        });
        let files = files.collect();
        let normalization = Some(Normalization {
            mean: vec![0.5; 3],
            std: vec![0.25; 3],
        });
        let kind = InputKind::Image {
            channels: 3,
            height: side,
            width: side,
            normalization,
        };
        let info = DatasetInfo {
            name: "benchmark".into(),
            inputs: InputSpec::new("image", kind),
            output: OutputSpec::classes(10),
            preprocessing: Default::default(),
        };
        Arc::new(Self { info, files, side })
    }
}

impl Dataset for Files {
    fn info(&self) -> &DatasetInfo {
        &self.info
    }

    fn len(&self) -> usize {
        self.files.len()
    }

    fn get(&self, index: usize) -> Result<Example, DataError> {
        let size = [3, self.side, self.side];
        let image = prepare(
            &self.files[index],
            size,
            Resize::Crop,
            ResizeFilter::Bilinear,
        )?;
        Ok(Example::new("image", image, Target::Class(index % 10)))
    }

    fn get_original(&self, index: usize) -> Result<Example, DataError> {
        let image = image_file::read(&self.files[index])?.to_buffer(3)?;
        Ok(Example::new("image", image, Target::Class(index % 10)))
    }
}

fn loader(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut group = criterion.benchmark_group("loader");
    group.throughput(Throughput::Elements(COUNT as u64));
    group
        .measurement_time(Duration::from_secs(8))
        .sample_size(20);
    for (label, size, side) in support::SIZES {
        let files = Files::write(folder.path(), COUNT, size, side);
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
