//! The folder `modelnet40_ply_hdf5_2048`: points that PointNet's authors drew from ModelNet40's meshes.
//!
//! `train_files.txt` and `test_files.txt` name the HDF5 files, one a line, under a folder of their authors' machine of which
//! only the last part counts; `shape_names.txt` names the classes. A file holds `data`, floats `[shapes, 2048, 3]`, chunked
//! under gzip and shuffle, and `label`, bytes `[shapes, 1]`; `normal` and others are not read. The shapes are in random
//! order, and the points of a shape too, so its first points are a sample of it.

use std::path::Path;

use fs_err as fs;

use super::hdf5::{Array, File};
use crate::source::points::{self, Clouds};
use crate::{Buffer, DataError, DatasetInfo, Progress, Values};

/// Longest text file that is read.
const MAX_TEXT: u64 = 1 << 20;
/// Name of the list of training files, by which the folder is known.
pub(super) const TRAIN: &str = "train_files.txt";
/// Name of the list of test files.
pub(super) const TEST: &str = "test_files.txt";
const NAMES: &str = "shape_names.txt";

/// Checks that the folder's classes are those of `info`.
pub(super) fn check_classes(folder: &Path, classes: &[String]) -> Result<(), DataError> {
    let path = folder.join(NAMES);
    let found = lines(&path)?;
    let longest = found.len().max(classes.len());
    for number in 0..longest {
        let (found, wanted) = (found.get(number), classes.get(number));
        if found != wanted {
            return Err(DataError::CorruptLine {
                path,
                line: number as u64 + 1,
                reason: format!("class {found:?}, expected {wanted:?}"),
            });
        }
    }
    Ok(())
}

/// The first points of each shape of the files that a list names, centred and scaled into the unit sphere.
pub(super) fn read(
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
pub(super) fn append(
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
        points::to_unit_sphere(&mut cloud);
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
