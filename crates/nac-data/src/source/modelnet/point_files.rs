//! The folder `modelnet40_ply_hdf5_2048`: points that PointNet's authors drew from ModelNet40's meshes.
//!
//! `train_files.txt` and `test_files.txt` name the HDF5 files, one a line, under a folder of their authors' machine of which
//! only the last part counts; `shape_names.txt` names the classes. A file holds `data`, floats `[shapes, 2048, 3]`, chunked
//! under gzip and shuffle, and `label`, bytes `[shapes, 1]`; `normal` and others are not read. The shapes are in random
//! order, and the points of a shape too, so its first points are a sample of it.

use std::io::Read as _;
use std::path::Path;

use fs_err as fs;
use md5::{Digest, Md5};

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

/// MD5 of the published files, as several public loaders check them; their authors give none.
const DIGESTS: [(&str, &str); 7] = [
    ("ply_data_train0.h5", "3176385ffc31a7b6b5af22191fd920d1"),
    ("ply_data_train1.h5", "e3f613fb500559403b34925112754dc4"),
    ("ply_data_train2.h5", "0c56e233a090ff87c3049d4ce08e7d8b"),
    ("ply_data_train3.h5", "9d2af465adfa33a3285c369f3ca66c45"),
    ("ply_data_train4.h5", "dff38de489b2c41bfaeded86c2208984"),
    ("ply_data_test0.h5", "e9732e6d83b09e79e9a7617df058adee"),
    ("ply_data_test1.h5", "aba4b12a67c34391cc3c015a6f08ed4b"),
];

/// Checks that the folder's HDF5 files are the published ones.
pub(super) fn check_digests(folder: &Path, progress: &dyn Progress) -> Result<(), DataError> {
    progress.start("checking shapes", Some(DIGESTS.len() as u64), "files");
    for (number, (name, expected)) in (1..).zip(DIGESTS) {
        let path = folder.join(name);
        let mut file = fs::File::open(&path)?;
        let mut hash = Md5::new();
        let mut block = vec![0; 1 << 16];
        loop {
            match file.read(&mut block)? {
                0 => break,
                read => hash.update(block.get(..read).unwrap_or_default()),
            }
        }
        let found: String = hash
            .finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        if found != expected {
            return Err(DataError::CorruptFile {
                path,
                offset: 0,
                reason: format!("the MD5 is {found}, that of the published file {expected}"),
            });
        }
        progress.at(number);
    }
    progress.finish();
    Ok(())
}

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
