//! Tests of the loader as a whole.

mod shares;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::testing::InMemory;
use crate::transform::{HorizontalFlip, Pipeline, RandomCrop};
use crate::{Buffer, DatasetInfo, Example, InputSpec, OutputSpec, Target, Targets, Values};

fn options(workers: usize) -> LoaderOptions {
    let steps: Vec<Arc<dyn Transform>> = vec![
        Arc::new(RandomCrop::new(1).unwrap()),
        Arc::new(HorizontalFlip),
    ];
    LoaderOptions {
        batch_size: 4,
        shuffle: true,
        workers,
        seed: 9,
        transform: Some(Arc::new(Pipeline::new(steps))),
        ..LoaderOptions::default()
    }
}

fn all(loader: &Loader, epoch: u64, skip: usize) -> Vec<Batch> {
    loader.epoch(epoch, skip).collect::<Result<_, _>>().unwrap()
}

#[test]
fn worker_count_changes_nothing() {
    let images: Arc<dyn Dataset> = Arc::new(InMemory::images(30, 2, 5, 5, 3));
    let reference = all(&Loader::new(images.clone(), options(0)).unwrap(), 2, 0);
    assert_eq!(reference.len(), 8);
    assert_eq!(reference[7].len(), 2);
    for workers in [1, 2, 3, 20] {
        let loader = Loader::new(images.clone(), options(workers)).unwrap();
        assert_eq!(all(&loader, 2, 0), reference, "{workers} workers");
        assert_ne!(all(&loader, 3, 0), reference, "epochs differ");
    }
}

/// Loads with every transform that goes with the data set.
fn with_all(dataset: &Arc<dyn Dataset>, specs: &[&str], workers: usize) -> Loader {
    let specs: Vec<String> = specs.iter().map(ToString::to_string).collect();
    let transform = crate::transform::from_specs(&specs, dataset.info()).unwrap();
    Loader::new(
        dataset.clone(),
        LoaderOptions {
            transform,
            ..options(workers)
        },
    )
    .unwrap()
}

#[test]
fn threads_and_resuming_change_nothing_with_every_transform() {
    let images: Arc<dyn Dataset> = Arc::new(InMemory::images(30, 3, 12, 10, 3));
    let tokens: Arc<dyn Dataset> = Arc::new(InMemory::tokens(30, 9, 12, 3));
    let image_specs = [
        "random_crop:2",
        "random_resized_crop:0.2-1",
        "horizontal_flip",
        "colour_jitter:0.4,0.4,0.4,0.1",
        "rand_augment:m9-mstd0.5-inc1",
        "random_erasing:0.5",
        "mixup:0.8",
        "cutmix:1",
        "repeat:3",
    ];
    let token_specs = ["token_crop:6", "token_dropout:0.2", "repeat:2"];
    for (dataset, specs) in [(images, &image_specs[..]), (tokens, &token_specs[..])] {
        let reference = all(&with_all(&dataset, specs, 0), 2, 0);
        assert_eq!(reference.len(), 8);
        for workers in [1, 3, 8] {
            let loader = with_all(&dataset, specs, workers);
            assert_eq!(all(&loader, 2, 0), reference, "{workers} workers");
            assert_eq!(all(&loader, 2, 5), reference[5..], "{workers} workers");
            assert_ne!(all(&loader, 3, 0), reference, "epochs differ");
        }
    }
}

#[test]
fn skipping_gives_the_same_tail() {
    let images = Arc::new(InMemory::images(30, 2, 5, 5, 3));
    let loader = Loader::new(images, options(2)).unwrap();
    let reference = all(&loader, 5, 0);
    for skip in [1, 3, 7] {
        assert_eq!(all(&loader, 5, skip), reference[skip..]);
    }
    assert!(all(&loader, 5, 8).is_empty());
    assert!(all(&loader, 5, usize::MAX).is_empty());
}

#[test]
fn skipped_batches_are_not_read() {
    struct Counting(InMemory, AtomicUsize);
    impl Dataset for Counting {
        fn info(&self) -> &DatasetInfo {
            self.0.info()
        }
        fn len(&self) -> usize {
            self.0.len()
        }
        fn get(&self, index: usize) -> Result<Example, DataError> {
            self.1.fetch_add(1, Ordering::Relaxed);
            self.0.get(index)
        }
    }
    let counting = Arc::new(Counting(
        InMemory::images(30, 1, 2, 2, 3),
        AtomicUsize::new(0),
    ));
    let loader = Loader::new(
        counting.clone(),
        LoaderOptions {
            workers: 2,
            ..options(2)
        },
    )
    .unwrap();
    assert_eq!(all(&loader, 0, 6).len(), 2);
    assert_eq!(counting.1.load(Ordering::Relaxed), 6);
}

#[test]
fn dropping_early_ends_the_workers() {
    let images: Arc<dyn Dataset> = Arc::new(InMemory::images(400, 1, 2, 2, 3));
    let loader = Loader::new(images.clone(), options(4)).unwrap();
    let mut epoch = loader.epoch(0, 0);
    assert!(epoch.next().unwrap().is_ok());
    drop(epoch);
    drop(loader);
    // Every worker held a reference; they are joined, so ours is the last.
    assert_eq!(Arc::strong_count(&images), 1);
}

#[test]
fn errors_come_in_order_and_end_the_epoch() {
    for workers in [0, 1, 3] {
        let broken = Arc::new(InMemory::images(30, 1, 2, 2, 3).failing_at(13));
        let options = LoaderOptions {
            shuffle: false,
            transform: None,
            ..options(workers)
        };
        let results: Vec<_> = Loader::new(broken, options).unwrap().epoch(0, 0).collect();
        assert_eq!(results.len(), 4, "batches 0, 1, 2 and the error in batch 3");
        assert!(results[..3].iter().all(Result::is_ok));
        assert!(
            results[3]
                .as_ref()
                .unwrap_err()
                .to_string()
                .contains("at byte 13")
        );
    }
}

#[test]
fn a_panic_in_a_data_set_is_an_error() {
    struct Panics(InMemory);
    impl Dataset for Panics {
        fn info(&self) -> &DatasetInfo {
            self.0.info()
        }
        fn len(&self) -> usize {
            self.0.len()
        }
        fn get(&self, index: usize) -> Result<Example, DataError> {
            assert_ne!(index, 9, "on purpose");
            self.0.get(index)
        }
    }
    let options = LoaderOptions {
        shuffle: false,
        transform: None,
        ..options(2)
    };
    let loader = Loader::new(Arc::new(Panics(InMemory::images(30, 1, 2, 2, 3))), options).unwrap();
    let results: Vec<_> = loader.epoch(0, 0).collect();
    assert!(matches!(
        results.last(),
        Some(Err(DataError::Worker { batch: 2 }))
    ));
}

#[test]
fn tokens_are_padded_to_the_longest() {
    let info = DatasetInfo {
        name: "t".into(),
        inputs: InputSpec::tokens(9, 3, 0),
        output: OutputSpec::classes(2),
        preprocessing: Default::default(),
    };
    let example =
        |ids: &[i64]| Example::new("tokens", Buffer::tokens(ids.to_vec()), Target::Class(1));
    let load = |rows: &[&[i64]]| {
        let examples = rows.iter().map(|ids| example(ids)).collect();
        let loader = Loader::new(
            Arc::new(InMemory::new(info.clone(), examples)),
            LoaderOptions::default(),
        );
        loader.unwrap().epoch(0, 0).next().unwrap()
    };
    let batch = load(&[&[1], &[2, 3, 4], &[5, 6]]).unwrap();
    let wanted = Buffer::new(vec![3, 3], Values::I64(vec![1, 0, 0, 2, 3, 4, 5, 6, 0])).unwrap();
    assert_eq!(batch.input("tokens").unwrap(), &wanted);
    assert_eq!(
        (batch.targets, batch.indices),
        (Targets::Classes(vec![1, 1, 1]), vec![0, 1, 2])
    );
    assert!(
        load(&[&[1, 2, 3, 4]])
            .unwrap_err()
            .to_string()
            .contains("1 <= len <= 3")
    );
    assert!(
        load(&[&[1], &[9]])
            .unwrap_err()
            .to_string()
            .contains("id 9")
    );
    assert!(
        load(&[&[1], &[]])
            .unwrap_err()
            .to_string()
            .contains("example 1")
    );
}

#[test]
fn values_and_several_inputs_are_stacked() {
    let info = DatasetInfo {
        name: "t".into(),
        inputs: InputSpec::tokens(9, 3, 0).with(
            "extra",
            crate::InputKind::Features {
                items: 1,
                dim: 2,
                padded: false,
            },
        ),
        output: OutputSpec::values(2),
        preprocessing: Default::default(),
    };
    let example = |index: usize, values: Vec<f32>| {
        let extra = Buffer::new(vec![1, 2], Values::F32(vec![index as f32, 0.5])).unwrap();
        let mut example = Example::new(
            "tokens",
            Buffer::tokens(vec![1; index + 1]),
            Target::Values(values),
        );
        // Inputs are in the order of their names, not in the example's order.
        example.inputs.push(("extra".into(), extra));
        example
    };
    let load = |examples: Vec<Example>| {
        let dataset = Arc::new(InMemory::new(info.clone(), examples));
        let loader = Loader::new(dataset, LoaderOptions::default()).unwrap();
        loader.epoch(0, 0).next().unwrap()
    };
    let batch = load(vec![example(0, vec![1.0, 2.0]), example(1, vec![3.0, 4.0])]).unwrap();
    let names: Vec<&str> = batch.inputs.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["extra", "tokens"]);
    let extra = Buffer::new(vec![2, 1, 2], Values::F32(vec![0.0, 0.5, 1.0, 0.5])).unwrap();
    assert_eq!(batch.inputs[0].1, extra);
    assert_eq!(batch.inputs[1].1.shape(), [2, 2]);
    let values = vec![1.0, 2.0, 3.0, 4.0];
    assert_eq!(batch.targets, Targets::Values { values, dim: 2 });
    let error = load(vec![example(0, vec![1.0])]).unwrap_err().to_string();
    assert!(
        error.contains("2 values") && error.contains("1 values"),
        "{error}"
    );
}

#[test]
fn wrong_examples_are_named() {
    let good = InMemory::images(2, 1, 2, 2, 2);
    let load = |change: &dyn Fn(&mut Example)| {
        let mut examples = vec![good.get(0).unwrap(), good.get(1).unwrap()];
        change(&mut examples[1]);
        let dataset = Arc::new(InMemory::new(good.info_owned(), examples));
        let loader = Loader::new(dataset, LoaderOptions::default()).unwrap();
        loader.epoch(0, 0).next().unwrap().unwrap_err().to_string()
    };
    let class = load(&|e| e.target = Target::Class(2));
    assert!(class.contains("example 1 has class 2"), "{class}");
    let values = load(&|e| e.target = Target::Values(vec![0.5]));
    assert!(
        values.contains("a class") && values.contains("1 values"),
        "{values}"
    );
    let shape =
        load(&|e| e.inputs[0].1 = Buffer::new(vec![1, 1, 2], Values::U8(vec![0; 2])).unwrap());
    assert!(
        shape.contains("[1, 2, 2]") && shape.contains("[1, 1, 2]"),
        "{shape}"
    );
    let kind =
        load(&|e| e.inputs[0].1 = Buffer::new(vec![1, 2, 2], Values::I64(vec![0; 4])).unwrap());
    assert!(kind.contains("u8") && kind.contains("i64"), "{kind}");
    let name = load(&|e| e.inputs[0].0 = "photo".into());
    assert!(name.contains("photo") && name.contains("image"), "{name}");
}

#[test]
fn options_that_give_no_batch_are_errors() {
    let images: Arc<dyn Dataset> = Arc::new(InMemory::images(3, 1, 2, 2, 3));
    let empty: Arc<dyn Dataset> = Arc::new(InMemory::images(0, 1, 2, 2, 3));
    let options = LoaderOptions::default;
    assert!(
        Loader::new(
            images.clone(),
            LoaderOptions {
                batch_size: 0,
                ..options()
            }
        )
        .is_err()
    );
    assert!(
        Loader::new(
            images.clone(),
            LoaderOptions {
                drop_last: true,
                ..options()
            }
        )
        .is_err()
    );
    assert!(
        Loader::new(
            images.clone(),
            LoaderOptions {
                workers: 1000,
                ..options()
            }
        )
        .is_err()
    );
    assert!(Loader::new(empty, options()).is_err());
    let two = LoaderOptions {
        batch_size: 2,
        drop_last: true,
        ..options()
    };
    assert_eq!(Loader::new(images, two).unwrap().epoch(0, 0).count(), 1);
}
