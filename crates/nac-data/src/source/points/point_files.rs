//! Folders of HDF5 files of points, in the layout of `modelnet40_ply_hdf5_2048`.
//!
//! PointNet's authors drew 2,048 points of each of ModelNet40's meshes; people keep their own shapes in the same layout.
//! `train_files.txt` and `test_files.txt` name the HDF5 files, one a line, under a folder of their author's machine of which
//! only the last part counts; `shape_names.txt` names the classes. A file holds `data`, floats `[shapes, points, 3]`, and
//! `label`, integers `[shapes, 1]` or `[shapes]`; others are not read. The points of a shape are in random order, so its
//! first points are a sample of it.

use std::path::Path;

use fs_err as fs;

use super::clouds::{self, Clouds};
use super::hdf5::{Array, File};
use super::normalize;
use crate::{Buffer, DataError, DatasetInfo, Progress, Values};

/// Longest text file that is read.
const MAX_TEXT: u64 = 1 << 20;
/// Name of the list of training files, by which the folder is known.
pub(crate) const TRAIN: &str = "train_files.txt";
/// Name of the list of test files.
pub(crate) const TEST: &str = "test_files.txt";
const NAMES: &str = "shape_names.txt";

/// Whether a folder has this layout.
pub(crate) fn is_layout(folder: &Path) -> bool {
    folder.join(TRAIN).is_file()
}

/// Names of the folder's classes.
pub(crate) fn class_names(folder: &Path) -> Result<Vec<String>, DataError> {
    let path = folder.join(NAMES);
    let names = lines(&path)?;
    let mut seen = std::collections::HashSet::new();
    match names.iter().position(|name| !seen.insert(name)) {
        None if names.is_empty() => Err(DataError::CorruptLine {
            path,
            line: 1,
            reason: "there is no name of a class".into(),
        }),
        None => Ok(names),
        Some(number) => Err(DataError::CorruptLine {
            path,
            line: number as u64 + 1,
            reason: format!("a second class `{}`", names[number]),
        }),
    }
}

/// The first points of each shape of the files that a list names, centred and scaled into the unit sphere.
pub(crate) fn read(
    folder: &Path,
    list: &str,
    info: &DatasetInfo,
    count: usize,
    progress: &dyn Progress,
) -> Result<Clouds, DataError> {
    let list = folder.join(list);
    let files = lines(&list)?;
    progress.start("reading shapes", Some(files.len() as u64), "files");
    let (mut clouds, mut labels) = (Vec::new(), Vec::new());
    for (number, file) in files.iter().enumerate() {
        let name = file.rsplit(['/', '\\']).next().unwrap_or_default();
        if name.is_empty() || name == ".." || name == "." {
            return Err(DataError::CorruptLine {
                path: list,
                line: number as u64 + 1,
                reason: format!("`{file}` names no file"),
            });
        }
        let file = File::open(&folder.join(name))?;
        append(&file, info, count, (&mut clouds, &mut labels))?;
        progress.at(number as u64 + 1);
    }
    progress.finish();
    Clouds::new(info.clone(), clouds, labels)
}

/// The shapes of one file.
fn append(
    file: &File,
    info: &DatasetInfo,
    count: usize,
    (clouds, labels): (&mut Vec<Buffer>, &mut Vec<u32>),
) -> Result<(), DataError> {
    let Array { shape, values } = file.floats("data")?;
    let label = file.integers("label")?;
    let [shapes, points, 3] = shape[..] else {
        return Err(file.refused(format!(
            "`data` has shape {shape:?}, expected [shapes, points, 3]"
        )));
    };
    if !matches!(label.shape[..], [n] | [n, 1] if n == shapes) {
        let found = label.shape;
        return Err(file.refused(format!(
            "`label` has shape {found:?}, expected [{shapes}, 1]"
        )));
    }
    if count > points {
        return Err(DataError::Config {
            field: "data.points.count".into(),
            reason: format!("{count} points, the files hold {points} of each shape"),
        });
    }
    if let Some(place) = values.iter().position(|x| !x.is_finite()) {
        let at = [place / 3 / points, place / 3 % points, place % 3];
        return Err(file.refused(format!("`data` at {at:?} is not a finite number")));
    }
    let classes = info.output.width();
    for (number, (cloud, &label)) in values
        .chunks_exact(points * 3)
        .zip(&label.values)
        .enumerate()
    {
        let class = u32::try_from(label)
            .ok()
            .filter(|&class| (class as usize) < classes);
        let class = class.ok_or_else(|| {
            file.refused(format!(
                "`label` of shape {number} is {label}, expected 0 to {}",
                classes - 1
            ))
        })?;
        let mut cloud: Vec<[f32; 3]> = cloud
            .chunks_exact(3)
            .take(count)
            .filter_map(|point| point.try_into().ok())
            .collect();
        normalize::to_unit_sphere(&mut cloud);
        let values = Values::F32(cloud.into_iter().flatten().collect());
        clouds.push(Buffer::new(vec![count, 3], values)?);
        labels.push(class);
    }
    Ok(())
}

/// Lines of a short text file that are not empty.
fn lines(path: &Path) -> Result<Vec<String>, DataError> {
    let length = fs::metadata(path)?.len();
    if length > MAX_TEXT {
        return Err(DataError::CorruptFile {
            path: path.into(),
            offset: MAX_TEXT,
            reason: format!("the file has {length} bytes, at most {MAX_TEXT} are read"),
        });
    }
    let text = fs::read_to_string(path)?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    Ok(lines.map(String::from).collect())
}

/// The shapes of the bytes of one HDF5 file, `count` points each, of classes below `classes`; `path` is for errors.
///
/// # Errors
/// [`DataError::CorruptFile`] with what is wrong; [`DataError::Config`] if the shapes have fewer points.
pub fn parse_point_file(
    path: &Path,
    bytes: Vec<u8>,
    count: usize,
    classes: usize,
) -> Result<Clouds, DataError> {
    let names: Vec<String> = (0..classes).map(|class| class.to_string()).collect();
    let info = clouds::info("points", count, &names);
    let (mut clouds, mut labels) = (Vec::new(), Vec::new());
    append(
        &File::parse(path, bytes)?,
        &info,
        count,
        (&mut clouds, &mut labels),
    )?;
    Clouds::new(info, clouds, labels)
}
