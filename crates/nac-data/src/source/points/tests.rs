//! HDF5 files that h5py made, sound and damaged.

use std::path::Path;

use fs_err as fs;
use proptest::prelude::*;

use super::*;
use crate::{Dataset, Values};

/// What `tests/fixtures/hdf5/make.py` wrote.
fn fixture(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/hdf5");
    fs::read(folder.join(name)).unwrap()
}

/// The values of a file that NumPy wrote.
fn array(name: &str) -> Array {
    Array::parse(Path::new(name), &fixture(name)).unwrap()
}

const FILES: [&str; 8] = [
    "v0.h5",
    "v0_contiguous.h5",
    "v0_big_endian.h5",
    "v2.h5",
    "v3.h5",
    "v3_growing.h5",
    "v3_growing_twice.h5",
    "v3_one_chunk.h5",
];

#[test]
fn every_version_gives_what_h5py_wrote() {
    let (points, labels) = (array("points.npy"), array("labels.npy"));
    assert_eq!(
        (&points.shape[..], &labels.shape[..]),
        (&[5, 64, 3][..], &[5, 1][..])
    );
    for name in FILES {
        let file = hdf5::File::parse(Path::new(name), fixture(name)).unwrap();
        let found = file.floats("data").unwrap();
        assert_eq!(
            (&found.shape, &found.values),
            (&points.shape, &points.values),
            "{name}"
        );
        let label = file.integers("label").unwrap();
        let expected: Vec<i64> = labels.values.iter().map(|&label| label as i64).collect();
        assert_eq!(
            (&label.shape, label.values),
            (&labels.shape, expected),
            "{name}"
        );
    }
}

#[test]
fn shapes_are_the_first_points_in_the_unit_sphere() {
    let clouds = parse_point_file(Path::new("v0.h5"), fixture("v0.h5"), 16, 40).unwrap();
    let classes: Vec<_> = (0..5).filter_map(|index| clouds.class(index)).collect();
    assert_eq!(classes, [3, 39, 0, 17, 3]);
    let mut expected: Vec<[f32; 3]> = array("points.npy").values[64 * 3..][..16 * 3]
        .chunks(3)
        .map(|p| [p[0], p[1], p[2]])
        .collect();
    to_unit_sphere(&mut expected);
    let example = clouds.get(1).unwrap();
    let flat = expected.into_iter().flatten().collect();
    assert_eq!(
        *example.input("points").unwrap().values(),
        Values::F32(flat)
    );
}

#[test]
fn numpy_s_order_of_columns_is_read() {
    let (all, fortran) = (array("points.npy"), array("fortran.npy"));
    assert_eq!(fortran.shape, [64, 3]);
    assert_eq!(fortran.values, all.values[..64 * 3]);
}

#[test]
fn what_is_no_such_file_is_an_error() {
    let parse = |bytes: Vec<u8>, count: usize| {
        parse_point_file(Path::new("x.h5"), bytes, count, 40)
            .unwrap_err()
            .to_string()
    };
    for (bytes, part) in [
        (
            vec![0; 100_000],
            "x.h5: at byte 0: HDF5: invalid HDF5 magic",
        ),
        (Vec::new(), "x.h5"),
        (fixture("v0_lzf.h5"), "filter id 32000"),
        (fixture("v0.h5")[..4000].to_vec(), "x.h5"),
    ] {
        let error = parse(bytes, 8);
        assert!(error.contains(part), "{part}: {error}");
    }
    let error = parse(fixture("v3.h5"), 65);
    assert!(error.contains("65 points, the files hold 64"), "{error}");
}

/// The dimensions of `data` in the header of `v0.h5`, which has no checksums.
#[test]
fn lying_dimensions_are_refused_before_anything_is_read() {
    let bytes = fixture("v0.h5");
    let dims: Vec<u8> = [5u64, 64, 3].iter().flat_map(|d| d.to_le_bytes()).collect();
    let at = bytes
        .windows(dims.len())
        .position(|window| window == dims)
        .unwrap();
    for first in [1u64 << 20, 1 << 33, 1 << 60, u64::MAX] {
        let mut lying = bytes.clone();
        lying[at..at + 8].copy_from_slice(&first.to_le_bytes());
        let error = parse_point_file(Path::new("x.h5"), lying, 8, 40)
            .unwrap_err()
            .to_string();
        assert!(error.contains("x.h5"), "{error}");
    }
    // One shape more than there are labels, of which no chunk holds anything.
    let mut lying = bytes;
    lying[at] = 6;
    let error = parse_point_file(Path::new("x.h5"), lying, 8, 40)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("`label` has shape [5, 1], expected [6, 1]"),
        "{error}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    /// Damaged files are read or refused: no panic, and no more memory than the reader's limits allow.
    #[test]
    fn damaged_files_do_not_panic(
        file in 0..FILES.len(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), any::<bool>()), 1..6),
        cut in prop::option::weighted(0.1, any::<prop::sample::Index>()),
    ) {
        let mut bytes = fixture(FILES[file]);
        for (place, value, in_header) in changes {
            let end = if in_header { bytes.len().min(3000) } else { bytes.len() };
            let at = place.index(end);
            bytes[at] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        if let Ok(clouds) = parse_point_file(Path::new("x.h5"), bytes, 8, 40) {
            for index in 0..clouds.len() {
                prop_assert!(clouds.class(index).unwrap() < 40);
            }
        }
    }
}

#[test]
fn a_user_s_own_files_may_have_the_layout() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
    write("train_files.txt", "somewhere\\else/a.h5\nb.h5");
    let classes: Vec<String> = (0..40).map(|class| format!("class {class}")).collect();
    write("shape_names.txt", &classes.join("\r\n"));
    for (file, source) in [("a.h5", "v0.h5"), ("b.h5", "v3_growing_twice.h5")] {
        fs::write(dir.path().join(file), fixture(source)).unwrap();
    }
    let mut config = crate::DataConfig {
        name: "points-folder".into(),
        path: Some(dir.path().into()),
        ..crate::DataConfig::default()
    };
    config.points.count = 16;
    let dirs = crate::DataDirs::new(None, None, "cache".into());
    let splits = crate::open(&config, &dirs, 0).unwrap();
    assert_eq!((splits.train.len(), splits.test.len()), (8, 2));
    assert_eq!(
        *splits.test.info(),
        crate::describe(&config, &dirs).unwrap()
    );
    assert_eq!(splits.test.info().output.class_name(39), "class 39");

    write("test_files.txt", "b.h5\n");
    let splits = crate::open(&config, &dirs, 0).unwrap();
    assert_eq!((splits.train.len(), splits.test.len()), (10, 5));
    for (name, text, part) in [
        (
            "test_files.txt",
            "..",
            "test_files.txt: line 1: `..` names no file",
        ),
        ("test_files.txt", "c.h5", "c.h5"),
        (
            "shape_names.txt",
            "a\nb\n",
            "`label` of shape 0 is 3, expected 0 to 1",
        ),
        ("shape_names.txt", "a\na\n", "line 2: a second class `a`"),
        ("shape_names.txt", "", "no name of a class"),
    ] {
        write(name, text);
        let error = crate::open(&config, &dirs, 0).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
}
