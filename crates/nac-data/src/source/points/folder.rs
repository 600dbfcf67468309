//! The user's own shapes: a folder for each class with meshes or lists of points, or HDF5 files.
//!
//! Layouts: `<class>/*`; `train/<class>/*` with `test` and `val` beside it; or `<class>/train/*` with `test` beside it, as
//! in ModelNet's archives. Without a test part, a fifth of each class becomes one, by a fixed rule that no seed changes.
//! A folder with `train_files.txt` has HDF5 files in the layout of ModelNet40's (`point_files`).

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rayon::prelude::*;

use super::clouds::{self, Clouds};
use super::{file, point_files};
use crate::progress::note_left_out;
use crate::source::class_folders::{self, Labelled};
use crate::source::{Entry, Origin, Request};
use crate::{Buffer, DataError, DatasetInfo, SharedDataset, Splits, split};

/// For the registry.
pub const ENTRY: Entry = Entry {
    name: "points-folder",
    title: "your own shapes: a folder for each class with meshes (OFF, PLY) or points (XYZ, CSV, PTS, NPY); or HDF5",
    licence: "your own",
    origin: Origin::Own,
    counts: None,
    describe: |request| {
        let root = request.own_path()?;
        if point_files::is_layout(&root) {
            return describe_point_files(&root, request);
        }
        describe(ENTRY.name, &root, request)
    },
    open: |request| {
        let root = request.own_path()?;
        if point_files::is_layout(&root) {
            return open_point_files(&root, request);
        }
        open(ENTRY.name, &root, request)
    },
};

/// Most points of an example.
const MAX_POINTS: usize = 1 << 20;
const TEST_SEED: u64 = 0;

/// What the examples look like; lists the folder and reads no file.
pub(crate) fn describe(
    name: &str,
    root: &Path,
    request: &Request<'_>,
) -> Result<DatasetInfo, DataError> {
    let count = count(request)?;
    Ok(clouds::info(
        name,
        count,
        &class_folders::list(root, &file::EXTENSIONS)?.classes,
    ))
}

/// Reads every file and keeps `data.points.count` points of each in memory.
///
/// # Errors
/// [`DataError::Config`] for a folder in none of the layouts; the first file that cannot be read, unless
/// `data.skip_unreadable` is set.
pub(crate) fn open(name: &str, root: &Path, request: &Request<'_>) -> Result<Splits, DataError> {
    let count = count(request)?;
    let found = class_folders::list(root, &file::EXTENSIONS)?;
    let info = clouds::info(name, count, &found.classes);
    let read = |part: &str, files: &[Labelled]| -> Result<SharedDataset, DataError> {
        let (clouds, classes) = read_part(part, files, count, request)?;
        Ok(Arc::new(Clouds::new(info.clone(), clouds, classes)?))
    };
    let train = read("training", &found.train)?;
    let validation = found
        .validation
        .map(|files| read("validation", &files))
        .transpose()?;
    let test = found.test.map(|files| read("test", &files)).transpose()?;
    splits(train, validation, test)
}

/// A fifth of training becomes the test part, if there is none.
fn splits(
    train: SharedDataset,
    validation: Option<SharedDataset>,
    test: Option<SharedDataset>,
) -> Result<Splits, DataError> {
    let (train, test) = match test {
        Some(test) => (train, test),
        None => {
            let fifth = (train.len() / 5).max(1);
            let (train, test) = split::held_out(train, fifth, TEST_SEED)?;
            (
                Arc::new(train) as SharedDataset,
                Arc::new(test) as SharedDataset,
            )
        }
    };
    Ok(Splits {
        train,
        validation,
        test,
    })
}

fn describe_point_files(root: &Path, request: &Request<'_>) -> Result<DatasetInfo, DataError> {
    let classes = point_files::class_names(root)?;
    Ok(clouds::info(ENTRY.name, count(request)?, &classes))
}

fn open_point_files(root: &Path, request: &Request<'_>) -> Result<Splits, DataError> {
    let info = describe_point_files(root, request)?;
    let count = request.config.points.count;
    let read = |list: &str| -> Result<SharedDataset, DataError> {
        let clouds = point_files::read(root, list, &info, count, request.progress)?;
        Ok(Arc::new(clouds))
    };
    let train = read(point_files::TRAIN)?;
    let test = root
        .join(point_files::TEST)
        .is_file()
        .then(|| read(point_files::TEST));
    splits(train, None, test.transpose()?)
}

/// Points of an example.
pub(crate) fn count(request: &Request<'_>) -> Result<usize, DataError> {
    let count = request.config.points.count;
    if (1..=MAX_POINTS).contains(&count) {
        return Ok(count);
    }
    Err(DataError::Config {
        field: "data.points.count".into(),
        reason: format!("{count} points; it must be 1 to {MAX_POINTS}"),
    })
}

/// Points and classes of the files of a part.
fn read_part(
    part: &str,
    files: &[Labelled],
    count: usize,
    request: &Request<'_>,
) -> Result<(Vec<Buffer>, Vec<u32>), DataError> {
    let progress = request.progress;
    progress.start(
        &format!("reading {part} shapes"),
        Some(files.len() as u64),
        "files",
    );
    let done = AtomicU64::new(0);
    let read: Vec<Result<Buffer, DataError>> = files
        .par_iter()
        .enumerate()
        .map(|(number, (path, _))| {
            let points = file::read_points(path, count, request.seed, &[number as u64]);
            progress.at(done.fetch_add(1, Ordering::Relaxed) + 1);
            points
        })
        .collect();
    progress.finish();
    let (mut clouds, mut classes, mut refused) = (Vec::new(), Vec::new(), Vec::new());
    for (points, (_, class)) in read.into_iter().zip(files) {
        match points {
            Ok(points) => {
                clouds.push(points);
                classes.push(*class);
            }
            Err(error) if request.config.skip_unreadable => refused.push(error.to_string()),
            Err(error) => return Err(error),
        }
    }
    let what = format!("{part} files cannot be read");
    note_left_out(progress, &what, files.len(), &refused);
    if clouds.is_empty() {
        return Err(DataError::Config {
            field: "data.path".into(),
            reason: format!("none of the {} {part} files can be read", files.len()),
        });
    }
    Ok((clouds, classes))
}

#[cfg(test)]
mod tests {
    use fs_err as fs;

    use super::*;
    use crate::{DataConfig, DataDirs, Dataset};

    const TRIANGLE: &str = "OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n";

    fn write(root: &Path, files: &[&str]) {
        for file in files {
            let path = root.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            let text = if file.ends_with("off") {
                TRIANGLE
            } else {
                "0 0 0\n1 2 3\n"
            };
            fs::write(path, text).unwrap();
        }
    }

    fn config(root: &Path) -> DataConfig {
        let mut config = DataConfig {
            name: ENTRY.name.into(),
            path: Some(root.into()),
            ..DataConfig::default()
        };
        config.points.count = 16;
        config
    }

    fn open(config: &DataConfig) -> Result<Splits, DataError> {
        crate::open(config, &DataDirs::new(None, None, "cache".into()), 0)
    }

    fn classes(dataset: &dyn Dataset) -> Vec<usize> {
        (0..dataset.len())
            .filter_map(|index| dataset.class(index))
            .collect()
    }

    #[test]
    fn three_layouts() {
        let dir = tempfile::tempdir().unwrap();
        let flat: Vec<String> = (0..10)
            .map(|i| format!("flat/{}/{i}.xyz", ["b", "a"][i % 2]))
            .collect();
        write(
            dir.path(),
            &flat.iter().map(String::as_str).collect::<Vec<_>>(),
        );
        write(
            dir.path(),
            &[
                "flat/a/readme.md",
                "flat/a/.hidden.xyz",
                "flat/notes.txt",
                "flat/.git/x.xyz",
            ],
        );
        let splits = open(&config(&dir.path().join("flat"))).unwrap();
        assert_eq!((splits.train.len(), splits.test.len()), (8, 2));
        assert_eq!(classes(splits.test.as_ref()), [0, 1]);
        assert_eq!(
            splits.train.info().output,
            crate::OutputSpec::named(["a", "b"])
        );
        assert_eq!(
            splits
                .train
                .get(0)
                .unwrap()
                .input("points")
                .unwrap()
                .shape(),
            [16, 3]
        );
        let seeded = crate::open(
            &config(&dir.path().join("flat")),
            &DataDirs::new(None, None, "c".into()),
            9,
        );
        assert_eq!(classes(seeded.unwrap().test.as_ref()), [0, 1]);

        write(
            dir.path(),
            &[
                "parts/train/a/1.off",
                "parts/train/b/1.off",
                "parts/val/a/2.off",
                "parts/test/b/2.off",
            ],
        );
        let splits = open(&config(&dir.path().join("parts"))).unwrap();
        assert_eq!(classes(splits.train.as_ref()), [0, 1]);
        assert_eq!(classes(splits.validation.unwrap().as_ref()), [0]);
        assert_eq!(classes(splits.test.as_ref()), [1]);

        write(
            dir.path(),
            &[
                "modelnet/a/train/1.off",
                "modelnet/b/train/1.off",
                "modelnet/b/test/2.off",
            ],
        );
        let splits = open(&config(&dir.path().join("modelnet"))).unwrap();
        assert_eq!(classes(splits.train.as_ref()), [0, 1]);
        assert_eq!(classes(splits.test.as_ref()), [1]);
        assert!(splits.validation.is_none());
    }

    #[test]
    fn unreadable_files_are_named_and_left_out_only_if_asked() {
        let dir = tempfile::tempdir().unwrap();
        write(
            dir.path(),
            &["a/1.off", "a/2.off", "b/1.off", "b/2.off", "b/3.off"],
        );
        fs::write(dir.path().join("b/2.off"), "OFF\n3 1 0\n").unwrap();
        let mut config = config(dir.path());
        let error = open(&config).unwrap_err().to_string();
        assert!(error.contains("2.off: line 2"), "{error}");
        config.skip_unreadable = true;
        let splits = open(&config).unwrap();
        assert_eq!(splits.train.len() + splits.test.len(), 4);
    }

    #[test]
    fn folders_without_classes_or_files_are_errors() {
        let dir = tempfile::tempdir().unwrap();
        let error = |root: &Path| open(&config(root)).unwrap_err().to_string();
        assert!(error(dir.path()).contains("name of a class"));
        write(dir.path(), &["a/1.off", "b/1.md"]);
        assert!(error(dir.path()).contains("class `b` has no training file"));
        assert!(error(&dir.path().join("missing")).contains("missing"));
        let mut many = config(dir.path());
        many.points.count = 1 << 40;
        assert!(
            open(&many)
                .unwrap_err()
                .to_string()
                .contains("data.points.count")
        );
    }
}
