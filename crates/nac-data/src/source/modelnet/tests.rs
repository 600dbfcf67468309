//! The layouts of ModelNet, with small files that h5py made.

use fs_err as fs;

use super::*;
use crate::{DataConfig, DataDirs};

/// What `tests/fixtures/hdf5/make.py` wrote.
fn fixture(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/hdf5");
    fs::read(folder.join(name)).unwrap()
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
    let splits = open_points(&found, &info, [10, 5], &request).unwrap();
    assert_eq!((splits.train.len(), splits.test.len()), (10, 5));
    assert_eq!(splits.train.get(5).unwrap(), splits.test.get(0).unwrap());

    let error = open_points(&found, &info, [11, 5], &request)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("the files hold 10 shapes, expected 11"),
        "{error}"
    );

    fs::write(found.join("shape_names.txt"), "airplane\nbathtub\nbench\n").unwrap();
    let error = open_points(&found, &info, [10, 5], &request)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("class 2 is `bench`, expected `bed`"),
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
    // Nor files with the published labels and empty cells.
    let labelled = |count: fn(&(&str, usize, usize)) -> usize| -> Vec<u8> {
        let mut bytes = Vec::new();
        for (label, class) in (0..).zip(&classes::MODELNET10) {
            let mut record = vec![0; voxels::RECORD];
            record[0] = label;
            bytes.extend(record.repeat(count(class)));
        }
        bytes
    };
    fs::write(voxels.join("train.bin"), labelled(|class| class.1)).unwrap();
    fs::write(voxels.join("test.bin"), labelled(|class| class.2)).unwrap();
    for form in [ModelNetForm::Voxels, ModelNetForm::VoxelPoints] {
        let error = open_with(&dirs, "modelnet10", form)
            .unwrap_err()
            .to_string();
        assert!(error.contains("no shape has an occupied cell"), "{error}");
    }
    // One sound training shape does not make up for a test part without any.
    let mut train = labelled(|class| class.1);
    train[1] = 255;
    fs::write(voxels.join("train.bin"), train).unwrap();
    let error = open_with(&dirs, "modelnet10", ModelNetForm::Voxels)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("test.bin") && error.contains("no shape has an occupied cell"),
        "{error}"
    );
    // Without the published counts of ModelNet10 too.
    let forty = dir.path().join("modelnet40-voxels");
    fs::create_dir(&forty).unwrap();
    fs::write(forty.join("train.bin"), vec![0; 40 * voxels::RECORD]).unwrap();
    let error = open_with(&dirs, "modelnet40", ModelNetForm::Voxels)
        .unwrap_err()
        .to_string();
    assert!(error.contains("no shape has an occupied cell"), "{error}");

    let error = open_with(&dirs, "modelnet10", ModelNetForm::Points)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("form = \"voxels\"") && error.contains("ModelNet10.zip"),
        "{error}"
    );
    assert!(check_voxels(Path::new("train.bin"), &[10; voxels::RECORD]).is_err());
}
