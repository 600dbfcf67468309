//! The layouts of ModelNet, with small files that h5py made.

use fs_err as fs;
use proptest::prelude::*;

use super::*;
use crate::{DataConfig, DataDirs, Values};

/// What `tests/fixtures/hdf5/make.py` wrote.
fn fixture(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/hdf5");
    fs::read(folder.join(name)).unwrap()
}

/// The values of a file that NumPy wrote.
fn array(name: &str) -> points::Array {
    points::Array::parse(Path::new(name), &fixture(name)).unwrap()
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
    let clouds = parse_point_file(Path::new("v0.h5"), fixture("v0.h5"), 16).unwrap();
    let classes: Vec<_> = (0..5).filter_map(|index| clouds.class(index)).collect();
    assert_eq!(classes, [3, 39, 0, 17, 3]);
    let mut expected: Vec<[f32; 3]> = array("points.npy").values[64 * 3..][..16 * 3]
        .chunks(3)
        .map(|p| [p[0], p[1], p[2]])
        .collect();
    points::to_unit_sphere(&mut expected);
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
        parse_point_file(Path::new("x.h5"), bytes, count)
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
        let error = parse_point_file(Path::new("x.h5"), lying, 8)
            .unwrap_err()
            .to_string();
        assert!(error.contains("x.h5"), "{error}");
    }
    // One shape more than there are labels, of which no chunk holds anything.
    let mut lying = bytes;
    lying[at] = 6;
    let error = parse_point_file(Path::new("x.h5"), lying, 8)
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
        if let Ok(clouds) = parse_point_file(Path::new("x.h5"), bytes, 8) {
            for index in 0..clouds.len() {
                prop_assert!(clouds.class(index).unwrap() < 40);
            }
        }
    }
}

/// A data folder and its directories.
fn folder() -> (tempfile::TempDir, DataDirs) {
    let dir = tempfile::tempdir().unwrap();
    let dirs = DataDirs::new(Some(dir.path().into()), None, "cache".into());
    (dir, dirs)
}

fn open_with(dirs: &DataDirs, name: &str, form: ModelNetForm) -> Result<Splits, DataError> {
    let mut config = DataConfig {
        name: name.into(),
        ..DataConfig::default()
    };
    config.modelnet.form = form;
    config.points.count = 32;
    crate::open(&config, dirs, 0)
}

fn point_folder(root: &Path) -> PathBuf {
    let folder = root.join("modelnet40_ply_hdf5_2048");
    fs::create_dir_all(&folder).unwrap();
    let prefix = "data/modelnet40_ply_hdf5_2048";
    let (a, b) = ("ply_data_train0.h5", "ply_data_train1.h5");
    fs::write(
        folder.join("train_files.txt"),
        format!("{prefix}/{a}\n{prefix}/{b}\n"),
    )
    .unwrap();
    fs::write(
        folder.join("test_files.txt"),
        format!("{prefix}/ply_data_test0.h5\n"),
    )
    .unwrap();
    fs::write(
        folder.join("shape_names.txt"),
        classes::MODELNET40.join("\n") + "\n",
    )
    .unwrap();
    for (file, source) in [
        (a, "v0.h5"),
        (b, "v0_contiguous.h5"),
        ("ply_data_test0.h5", "v3.h5"),
    ] {
        fs::write(folder.join(file), fixture(source)).unwrap();
    }
    folder
}

#[test]
fn the_folder_of_point_files_is_found_and_counted() {
    let (dir, dirs) = folder();
    let found = point_folder(dir.path());
    let error = open_with(&dirs, "modelnet40", ModelNetForm::Points)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("ply_data_train0.h5") && error.contains("3176385f"),
        "{error}"
    );

    let mut config = DataConfig::default();
    config.points.count = 32;
    let request = Request {
        config: &config,
        dirs: &dirs,
        seed: 0,
        progress: &crate::Silent,
    };
    let info = describe(&MODELNET40, &request).unwrap();
    let splits = point_files(&found, &info, [10, 5], &request).unwrap();
    assert_eq!((splits.train.len(), splits.test.len()), (10, 5));
    assert_eq!(splits.train.get(5).unwrap(), splits.test.get(0).unwrap());

    let error = point_files(&found, &info, [11, 5], &request)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("the files hold 10 shapes, expected 11"),
        "{error}"
    );

    fs::write(found.join("shape_names.txt"), "airplane\nbathtub\nbench\n").unwrap();
    let error = point_files(&found, &info, [10, 5], &request)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("shape_names.txt: line 3") && error.contains("bed"),
        "{error}"
    );
}

#[test]
fn meshes_must_be_those_of_the_classes() {
    let (dir, dirs) = folder();
    let triangle = "OFF3 1 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n";
    for (class, ..) in classes::MODELNET10 {
        for part in ["train", "test"] {
            let folder = dir.path().join("ModelNet10").join(class).join(part);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join(format!("{class}_0001.off")), triangle).unwrap();
        }
    }
    let splits = open_with(&dirs, "modelnet10", ModelNetForm::Points).unwrap();
    assert_eq!((splits.train.len(), splits.test.len()), (10, 10));
    assert_eq!(splits.test.class(7), Some(7));
    assert_eq!(splits.test.info().name, "modelnet10");
    fs::rename(
        dir.path().join("ModelNet10/sofa"),
        dir.path().join("ModelNet10/couch"),
    )
    .unwrap();
    let error = open_with(&dirs, "modelnet10", ModelNetForm::Points)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("not the 10 classes of modelnet10"),
        "{error}"
    );
}

#[test]
fn voxels_must_have_the_published_counts() {
    let (dir, dirs) = folder();
    let voxels = dir.path().join("modelnet10-voxels");
    fs::create_dir(&voxels).unwrap();
    // A file of the right size without any content must not train.
    fs::write(voxels.join("train.bin"), vec![0; 3_991 * voxels::RECORD]).unwrap();
    let error = open_with(&dirs, "modelnet10", ModelNetForm::Voxels)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("train.bin") && error.contains("[3991, 0, 0"),
        "{error}"
    );
    let error = open_with(&dirs, "modelnet10", ModelNetForm::Points)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("form = \"voxels\"") && error.contains("ModelNet10.zip"),
        "{error}"
    );
    assert!(check_voxels(Path::new("train.bin"), &[10; voxels::RECORD]).is_err());
}
