//! Damaged records of data sets are read or refused: no panic, and what is read keeps its promises.
//!
//! The bytes are those of the real files where `NAC_TEST_DATA_DIR` has them, else short ones in the same form.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod damage;

use std::io::Read as _;
use std::path::{Path, PathBuf};

use damage::damage;
use nac_data::source::{cifar10, cifar100, cub, nlvr, nlvr2, tiny_imagenet};
use nac_data::{
    Cifar100Config, DataConfig, DataDirs, DataError, Nlvr2Part, NlvrInput, NlvrPart, SharedDataset,
    open,
};
use proptest::prelude::*;
use proptest::sample::Index;

/// The start of a real file, or `other`.
fn real(relative: &str, length: u64, other: &[u8]) -> Vec<u8> {
    let root = std::env::var_os("NAC_TEST_DATA_DIR").filter(|root| !root.is_empty());
    let file = root.and_then(|root| std::fs::File::open(PathBuf::from(root).join(relative)).ok());
    let Some(file) = file else {
        return other.to_vec();
    };
    let mut bytes = Vec::new();
    file.take(length).read_to_end(&mut bytes).unwrap();
    bytes
}

/// The bytes up to the last end of a line.
fn whole_lines(mut bytes: Vec<u8>) -> Vec<u8> {
    let end = bytes.iter().rposition(|&byte| byte == b'\n');
    bytes.truncate(end.map_or(0, |end| end + 1));
    bytes
}

/// Two records of CIFAR with so many labels.
fn records(labels: usize) -> Vec<u8> {
    let record: Vec<u8> = (0..labels + 3072).map(|i| (i % 7) as u8).collect();
    record.repeat(2)
}

fn changes() -> impl Strategy<Value = Vec<(Index, u8, u8)>> {
    proptest::collection::vec(any::<(Index, u8, u8)>(), 0..6)
}

fn check_images(
    images: Result<SharedDataset, DataError>,
    record: usize,
    length: usize,
) -> Result<(), TestCaseError> {
    let Ok(images) = images else { return Ok(()) };
    prop_assert_eq!(images.len() * record, length);
    let classes = images.info().output.class_count();
    for index in 0..images.len() {
        prop_assert!(images.class(index) < classes);
        let example = images.get(index).unwrap();
        prop_assert_eq!(example.input("image").unwrap().shape(), [3, 32, 32]);
    }
    Ok(())
}

const NLVR: &[u8] = include_bytes!("fixtures/records/nlvr-dev.json");
const NLVR2: &[u8] = include_bytes!("fixtures/records/nlvr2-dev.json");
const ANNOTATIONS: &[u8] = include_bytes!("fixtures/records/val_annotations.txt");
/// Bytes of a real file of lines.
const HEAD: u64 = 8192;

#[test]
fn the_sound_bytes_are_read() {
    let path = Path::new("sound");
    let batch = real("cifar-10-batches-bin/test_batch.bin", 2 * 3073, &records(1));
    assert_eq!(cifar10::parse(path, &batch).unwrap().len(), 2);
    let images = cifar100::parse(path, &records(2), Cifar100Config::default());
    assert_eq!(images.unwrap().len(), 2);
    let lines = whole_lines(real("nlvr/dev/dev.json", HEAD, NLVR));
    let count = nlvr::check_lines(path, &lines, NlvrPart::Dev, NlvrInput::Objects);
    assert!(count.unwrap() >= 3);
    let lines = whole_lines(real("nlvr2/dev.json", HEAD, NLVR2));
    assert!(nlvr2::check_lines(path, &lines, Nlvr2Part::Dev).unwrap() >= 3);
    let text = whole_lines(real(
        "tiny-imagenet-200/val/val_annotations.txt",
        HEAD,
        ANNOTATIONS,
    ));
    let text = String::from_utf8(text).unwrap();
    let rows = tiny_imagenet::parse_annotations(path, &text).unwrap();
    assert_eq!(rows.len(), text.lines().count());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn cifar(changes in changes()) {
        let path = Path::new("damaged.bin");
        let sound = real("cifar-10-batches-bin/test_batch.bin", 2 * 3073, &records(1));
        let bytes = damage(sound, &changes);
        check_images(cifar10::parse(path, &bytes), 3073, bytes.len())?;
        let bytes = damage(records(2), &changes);
        for coarse in [false, true] {
            let images = cifar100::parse(path, &bytes, Cifar100Config { coarse });
            check_images(images, 3074, bytes.len())?;
        }
    }

    #[test]
    fn lines_of_nlvr(changes in changes()) {
        let path = Path::new("damaged.json");
        let bytes = damage(real("nlvr/dev/dev.json", HEAD, NLVR), &changes);
        for input in [NlvrInput::Image, NlvrInput::Objects] {
            match nlvr::check_lines(path, &bytes, NlvrPart::Dev, input) {
                Ok(count) => prop_assert!(count > 0),
                Err(error) => prop_assert!(error.to_string().contains("damaged.json")),
            }
        }
        let bytes = damage(real("nlvr2/dev.json", HEAD, NLVR2), &changes);
        match nlvr2::check_lines(path, &bytes, Nlvr2Part::Dev) {
            Ok(count) => prop_assert!(count > 0),
            Err(error) => prop_assert!(error.to_string().contains("damaged.json")),
        }
    }

    #[test]
    fn annotations_of_tiny_imagenet(changes in changes()) {
        let sound = real("tiny-imagenet-200/val/val_annotations.txt", HEAD, ANNOTATIONS);
        let bytes = damage(sound, &changes);
        let text = String::from_utf8_lossy(&bytes);
        match tiny_imagenet::parse_annotations(Path::new("damaged.txt"), &text) {
            Ok(rows) => for (name, class) in rows {
                prop_assert!(class < 200 && !name.is_empty() && !name.contains(['/', '\\']));
            },
            Err(error) => prop_assert!(error.to_string().contains("damaged.txt: line")),
        }
    }

    #[test]
    fn tables_of_cub(changes in changes()) {
        let sound = real("CUB_200_2011/bounding_boxes.txt", HEAD, b"2 139.0 30.0 153.0 264.0\n5 70.0 50.0 134.0 303.0\n");
        let bytes = damage(sound, &changes);
        let text = String::from_utf8_lossy(&bytes);
        match cub::parse_table(Path::new("damaged.txt"), &text) {
            Ok(rows) => prop_assert!(rows.len() <= text.lines().count()),
            Err(error) => prop_assert!(error.to_string().contains("damaged.txt: line")),
        }
    }
}

/// The text files of CUB-200-2011 with four images.
const CUB: [(&str, &str); 5] = [
    (
        "images.txt",
        "2 001.Black_footed_Albatross/a.png\n5 001.Black_footed_Albatross/b.png\n7 002.Laysan_Albatross/c.png\n8 002.Laysan_Albatross/d.png\n",
    ),
    ("image_class_labels.txt", "2 1\n5 1\n7 2\n8 2\n"),
    ("train_test_split.txt", "2 1\n5 0\n7 1\n8 0\n"),
    (
        "bounding_boxes.txt",
        "2 1.0 2.0 3.0 4.0\n5 0.0 0.0 16.0 8.0\n7 2.5 1.0 13.0 7.0\n8 0.0 1.0 9.0 5.0\n",
    ),
    (
        "classes.txt",
        "1 001.Black_footed_Albatross\n2 002.Laysan_Albatross\n",
    ),
];

#[test]
fn damaged_folders_of_cub_are_read_or_refused() {
    let dir = tempfile::tempdir().unwrap();
    let image = image::RgbImage::from_fn(16, 8, |x, y| image::Rgb([x as u8, y as u8, 9]));
    for name in CUB[0].1.lines().filter_map(|line| line.split_once(' ')) {
        let path = dir.path().join("images").join(name.1);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        image.save(path).unwrap();
    }
    let mut config = DataConfig {
        name: "cub".into(),
        path: Some(dir.path().into()),
        ..DataConfig::default()
    };
    config.cub.crop_to_box = true;
    config.image.size = Some([8, 8]);
    let dirs = DataDirs::new(None, None, dir.path().join("cache"));
    let write = |damaged: usize, changes: &[(Index, u8, u8)]| {
        for (place, (name, text)) in CUB.iter().enumerate() {
            let changes = if place == damaged { changes } else { &[] };
            let bytes = damage(text.as_bytes().to_vec(), changes);
            std::fs::write(dir.path().join(name), bytes).unwrap();
        }
    };
    write(0, &[]);
    let splits = open(&config, &dirs, 0).unwrap();
    assert_eq!((splits.train.len(), splits.test.len()), (2, 2));
    proptest!(ProptestConfig::with_cases(200), |(damaged in 0..CUB.len(), changes in changes())| {
        write(damaged, &changes);
        if let Ok(splits) = open(&config, &dirs, 0) {
            for part in [&splits.train, &splits.test] {
                for index in 0..part.len() {
                    // A box may be outside of its image.
                    let _ = part.get(index);
                    prop_assert!(part.class(index) < Some(200));
                }
            }
        }
    });
}

/// A table of each format.
const TABLES: [(&str, &str); 3] = [
    (
        "csv",
        "\u{feff}id,text,label\n1,\"so, good\",yes\n2,\"a \"\"b\"\"\nc\",no\n3,é,yes\n4,d,no\n5,e,yes\n",
    ),
    (
        "tsv",
        "text\tlabel\ngood\tyes\nbad\tno\nfine\tyes\nawful\tno\n",
    ),
    (
        "jsonl",
        "{\"text\": \"good \\u00e9\", \"label\": 1}\n\n{\"text\": \"bad\", \"label\": false}\n{\"label\": 1, \"text\": \"fine\", \"x\": [{}]}\n{\"text\": \"no\", \"label\": false}\n",
    ),
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn tables_of_texts(table in 0..TABLES.len(), changes in changes(), skip: bool) {
        let (extension, text) = TABLES[table];
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(format!("damaged.{extension}"));
        std::fs::write(&path, damage(text.as_bytes().to_vec(), &changes)).unwrap();
        let config = DataConfig {
            name: "text-csv".into(),
            path: Some(path),
            skip_unreadable: skip,
            ..DataConfig::default()
        };
        let dirs = DataDirs::new(None, None, dir.path().into());
        match open(&config, &dirs, 0) {
            Ok(splits) => for part in [&splits.train, &splits.test] {
                for index in 0..part.len() {
                    let example = part.get(index).unwrap();
                    prop_assert!(example.input("tokens").unwrap().shape()[0] > 0);
                    prop_assert!(part.class(index) < splits.train.info().output.class_count());
                }
            },
            // The file, or the column whose values are no classes.
            Err(error) => {
                let text = error.to_string();
                prop_assert!(text.contains("damaged") || text.contains("label"), "{}", text);
            }
        }
        if changes.is_empty() {
            prop_assert!(open(&config, &dirs, 0).is_ok());
        }
    }
}
