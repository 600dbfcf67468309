//! Shares of a batch, and batches of mixed examples.

use super::*;

#[test]
fn shares_of_a_batch_are_its_examples_with_every_transform() {
    let images: Arc<dyn Dataset> = Arc::new(InMemory::images(30, 3, 12, 10, 3));
    for specs in [&[][..], &["horizontal-flip", "mixup-0.4"], &["repeat-2", "horizontal-flip"]] {
        let specs: Vec<String> = specs.iter().map(ToString::to_string).collect();
        let transform = crate::transform::from_specs(&specs, images.info()).unwrap();
        let loader = |share| {
            let transform = transform.clone();
            let options = LoaderOptions {
                batch_size: 7,
                transform,
                share,
                ..options(1)
            };
            Loader::new(images.clone(), options).unwrap()
        };
        let whole = all(&loader(Share::default()), 1, 1);
        let parts: Vec<Vec<Batch>> = (0..3)
            .map(|rank| all(&loader(Share::new(rank, 3).unwrap()), 1, 1))
            .collect();
        for (number, batch) in whole.iter().enumerate() {
            let (mut pixels, mut indices) = (Vec::new(), Vec::new());
            for part in &parts {
                let Values::U8(values) = part[number].inputs[0].1.values() else {
                    panic!("images are bytes");
                };
                pixels.extend(values);
                indices.extend(&part[number].indices);
            }
            assert_eq!(indices, batch.indices, "{specs:?}");
            assert_eq!(*batch.inputs[0].1.values(), Values::U8(pixels), "{specs:?}");
        }
    }
}

#[test]
fn repeated_examples_are_read_once_and_changed_differently() {
    let images: Arc<dyn Dataset> = Arc::new(InMemory::images(12, 3, 12, 10, 3));
    let loader = with_all(
        &images,
        &["rand_augment:m9-p1", "random_crop:3", "repeat:4"],
        0,
    );
    for batch in all(&loader, 0, 0) {
        assert!(batch.indices.iter().all(|index| *index == batch.indices[0]));
        let Values::U8(pixels) = batch.inputs[0].1.values() else {
            panic!("type changed")
        };
        let versions: std::collections::BTreeSet<&[u8]> = pixels.chunks_exact(360).collect();
        assert!(versions.len() > 1);
    }
}

#[test]
fn mixed_batches_have_shares_and_stay_bytes() {
    let images: Arc<dyn Dataset> = Arc::new(InMemory::images(30, 3, 12, 10, 3));
    for spec in ["mixup:0.8", "cutmix:1"] {
        let batches = all(&with_all(&images, &[spec], 2), 0, 0);
        let mut mixed = 0;
        for batch in &batches {
            let Targets::Soft { values, classes: 3 } = &batch.targets else {
                panic!("{:?}", batch.targets)
            };
            for row in values.chunks_exact(3) {
                assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-6);
                mixed += usize::from(row.iter().filter(|share| **share > 0.0).count() == 2);
            }
            assert!(matches!(batch.inputs[0].1.values(), Values::U8(_)));
        }
        assert!(mixed > 5, "{mixed}");
    }
}
