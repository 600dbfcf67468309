//! Each transform on one example, and each corruption.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use nac_data::corruption::Corruption;
use nac_data::random::Stream;
use nac_data::testing::InMemory;
use nac_data::transform::{BatchDraws, Draws, from_specs};
use nac_data::{
    Buffer, Dataset, DatasetInfo, Example, InputKind, InputSpec, OutputSpec, Target, Values,
};

fn draws(index: usize) -> Draws {
    Draws {
        seed: 0,
        epoch: 0,
        index,
        repeat: 0,
    }
}

fn transforms(
    criterion: &mut Criterion,
    label: &str,
    info: &DatasetInfo,
    example: &Example,
    specs: &[&str],
) {
    for spec in specs {
        let transform = from_specs(&[(*spec).to_owned()], info)
            .expect("a transform")
            .expect("one");
        let mut index = 0;
        criterion.bench_function(&format!("{spec}/{label}"), |b| {
            b.iter_batched(
                || example.clone(),
                |mut example| {
                    index += 1;
                    transform
                        .apply(&mut example, &draws(index))
                        .expect("changed");
                    example
                },
                BatchSize::SmallInput,
            );
        });
    }
}

fn images(criterion: &mut Criterion) {
    for side in [64, 224] {
        let images = InMemory::images(1, 3, side, side, 2);
        let example = images.get(0).expect("an example");
        let specs = [
            "horizontal_flip",
            "random_crop:4",
            "random_resized_crop:0.08-1",
            "colour_jitter:0.4,0.4,0.4,0.1",
            "rand_augment:m9-mstd0.5-inc1",
            "random_erasing:0.25",
        ];
        transforms(
            criterion,
            &side.to_string(),
            images.info(),
            &example,
            &specs,
        );
        let Values::U8(pixels) = example.inputs[0].1.values() else {
            continue;
        };
        for kind in Corruption::ALL {
            let mut stream = Stream::new(0, "benchmark", &[]);
            criterion.bench_function(&format!("corruption {}/{side}", kind.name()), |b| {
                b.iter(|| {
                    kind.apply([3, side, side], pixels, 3, &mut stream)
                        .expect("corrupted")
                });
            });
        }
    }
}

fn batches(criterion: &mut Criterion) {
    let images: std::sync::Arc<dyn Dataset> =
        std::sync::Arc::new(InMemory::images(64, 3, 64, 64, 10));
    let options = nac_data::LoaderOptions {
        batch_size: 64,
        workers: 0,
        ..Default::default()
    };
    let loader = nac_data::Loader::new(images.clone(), options).expect("a loader");
    let batch = loader
        .epoch(0, 0)
        .next()
        .expect("a batch")
        .expect("a batch");
    for spec in ["mixup:0.8", "cutmix:1"] {
        let transform = from_specs(&[spec.to_owned()], images.info())
            .expect("a transform")
            .expect("one");
        criterion.bench_function(&format!("{spec}/64 of 64"), |b| {
            b.iter_batched(
                || batch.clone(),
                |mut batch| {
                    let draws = BatchDraws {
                        seed: 0,
                        epoch: 0,
                        batch: 0,
                    };
                    transform.apply_batch(&mut batch, &draws).expect("mixed");
                    batch
                },
                BatchSize::SmallInput,
            );
        });
    }
}

fn others(criterion: &mut Criterion) {
    let info = |inputs| DatasetInfo {
        name: "benchmark".into(),
        inputs,
        output: OutputSpec::classes(2),
        preprocessing: Default::default(),
    };
    let points = info(InputSpec::new(
        "points",
        InputKind::Points {
            points: 1024,
            dims: 3,
        },
    ));
    let values = (0..3072).map(|i| (i as f32).sin()).collect();
    let cloud = Buffer::new(vec![1024, 3], Values::F32(values)).expect("a cloud");
    let cloud = Example::new("points", cloud, Target::Class(0));
    let specs = [
        "rotate:any",
        "jitter:0.01",
        "scale:0.8-1.25",
        "dropout:0-0.875",
    ];
    transforms(criterion, "1024 points", &points, &cloud, &specs);
    let tokens = info(InputSpec::tokens(257, 4096, 0));
    let text = Buffer::tokens((0..4096).map(|i| 1 + i % 256).collect());
    let text = Example::new("tokens", text, Target::Class(0));
    transforms(
        criterion,
        "4096 bytes",
        &tokens,
        &text,
        &["token_crop:1024", "token_dropout:0.1"],
    );
}

criterion_group!(benches, images, batches, others);
criterion_main!(benches);
