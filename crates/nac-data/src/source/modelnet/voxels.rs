//! Voxel files: `train.bin` and `test.bin`, solid shapes on a grid of 30³ cells, as 3D ShapeNets (Wu et al. 2015) reads them.
//!
//! A record is the label (one byte) and 27,000 bits in the order x, y, z (z fastest), the first of a byte the most
//! significant: 3,376 bytes. In the voxels of ModelNet10, 8 shapes are empty, because the mesh was not closed: 7 in
//! training, 1 in test; 206 have the same cells as an earlier one of their part (191 and 15). All of them stay,
//! so that counts and accuracies are those of the published split, except that the empty training shapes are left out:
//! they would only teach a class for nothing.

use std::path::Path;

use fs_err as fs;

use crate::random::Stream;
use crate::source::points;
use crate::{
    Buffer, DataError, Dataset, DatasetInfo, Example, InputKind, InputSpec, Preprocessing, Target,
    Values,
};

/// Cells along each axis.
pub(super) const SIDE: usize = 30;
const CELLS: usize = SIDE * SIDE * SIDE;
/// Bytes of a record.
pub(super) const RECORD: usize = 1 + CELLS / 8;
/// Largest file that is read.
const MAX_BYTES: u64 = 1 << 30;

/// Shapes of one file.
pub(super) struct Grids {
    info: DatasetInfo,
    records: Vec<u8>,
    form: Form,
}

/// What an example is.
#[derive(Clone, Copy)]
pub(super) enum Form {
    /// The cells.
    Cells,
    /// So many points.
    Points { count: usize, seed: u64 },
}

/// What the examples look like in either form.
pub(super) fn info(name: &str, form: Form, classes: &[String]) -> DatasetInfo {
    match form {
        Form::Points { count, .. } => points::info(name, count, classes),
        Form::Cells => DatasetInfo {
            inputs: InputSpec::new("voxels", InputKind::Voxels { size: [SIDE; 3] }),
            preprocessing: [("voxels".into(), Preprocessing::Voxels {})].into(),
            ..points::info(name, 1, classes)
        },
    }
}

impl Grids {
    /// Reads a file. `expected` has the number of shapes of each class, where it is published; `keep_empty` is whether
    /// shapes without a cell stay.
    ///
    /// # Errors
    /// [`DataError::CorruptFile`] with the byte of a label that is out of range or of the end of a file that is no
    /// whole number of records; other numbers of shapes than expected.
    pub(super) fn read(
        path: &Path,
        info: DatasetInfo,
        form: Form,
        expected: Option<&[usize]>,
        keep_empty: bool,
    ) -> Result<Self, DataError> {
        let length = fs::metadata(path)?.len();
        if length > MAX_BYTES {
            let reason = format!("the file has {length} bytes, at most {MAX_BYTES} are read");
            return Err(corrupt(path, MAX_BYTES as usize, reason));
        }
        let mut records = fs::read(path)?;
        check(path, &records, info.output.width(), expected)?;
        let full = |record: &&[u8]| record.iter().skip(1).any(|&bits| bits != 0);
        if !records.chunks_exact(RECORD).any(|record| full(&record)) {
            return Err(corrupt(path, 0, "no shape has an occupied cell".into()));
        }
        if !keep_empty {
            records = records
                .chunks_exact(RECORD)
                .filter(full)
                .flatten()
                .copied()
                .collect();
        }
        Ok(Self {
            info,
            records,
            form,
        })
    }

    fn record(&self, index: usize) -> Option<&[u8]> {
        self.records.chunks_exact(RECORD).nth(index)
    }
}

/// Checks labels and length, and the number of shapes of each class.
pub(super) fn check(
    path: &Path,
    records: &[u8],
    classes: usize,
    expected: Option<&[usize]>,
) -> Result<(), DataError> {
    let rest = records.len() % RECORD;
    if rest != 0 || records.is_empty() {
        let reason = format!(
            "{} bytes are no whole number of records of {RECORD}",
            records.len()
        );
        return Err(corrupt(path, records.len() - rest, reason));
    }
    let mut found = vec![0usize; classes];
    for (number, record) in records.chunks_exact(RECORD).enumerate() {
        let label = record.first().copied().unwrap_or_default();
        match found.get_mut(usize::from(label)) {
            Some(count) => *count += 1,
            None => {
                let reason = format!("label {label}, expected 0 to {}", classes.saturating_sub(1));
                return Err(corrupt(path, number * RECORD, reason));
            }
        }
    }
    if let Some(expected) = expected.filter(|&expected| expected != found) {
        let reason = format!("{found:?} shapes of the classes, expected {expected:?}");
        return Err(corrupt(path, 0, reason));
    }
    Ok(())
}

fn corrupt(path: &Path, offset: usize, reason: String) -> DataError {
    DataError::CorruptFile {
        path: path.into(),
        offset: offset as u64,
        reason,
    }
}

/// One byte, 0 or 1, for each cell.
fn unpack(bits: &[u8]) -> Vec<u8> {
    let cells = bits
        .iter()
        .flat_map(|&byte| (0..8).rev().map(move |bit| byte >> bit & 1));
    cells.take(CELLS).collect()
}

/// Centres, in cells, of the occupied cells of which one of the six neighbours is free or outside.
fn surface(cells: &[u8]) -> Vec<[f32; 3]> {
    let occupied = |x: usize, y: usize, z: usize| {
        // A neighbour before the first cell has a huge coordinate.
        x < SIDE && y < SIDE && z < SIDE && cells.get((x * SIDE + y) * SIDE + z) == Some(&1)
    };
    let mut centres = Vec::new();
    for x in 0..SIDE {
        for y in 0..SIDE {
            for z in 0..SIDE {
                let (before, after) = (usize::wrapping_sub, usize::wrapping_add);
                let inside = [before, after].iter().all(|step| {
                    occupied(step(x, 1), y, z)
                        && occupied(x, step(y, 1), z)
                        && occupied(x, y, step(z, 1))
                });
                if occupied(x, y, z) && !inside {
                    centres.push([x, y, z].map(|i| i as f32 + 0.5));
                }
            }
        }
    }
    centres
}

impl Dataset for Grids {
    fn info(&self) -> &DatasetInfo {
        &self.info
    }

    fn len(&self) -> usize {
        self.records.len() / RECORD
    }

    fn get(&self, index: usize) -> Result<Example, DataError> {
        self.check(index)?;
        let (label, bits) = match self.record(index) {
            Some([label, bits @ ..]) => (*label, bits),
            _ => (0, &[][..]),
        };
        let target = Target::Class(label.into());
        let cells = unpack(bits);
        match self.form {
            Form::Cells => {
                let cells = Buffer::new(vec![SIDE; 3], Values::U8(cells))?;
                Ok(Example::new("voxels", cells, target))
            }
            Form::Points { count, seed } => {
                let shape = points::Shape::Points(surface(&cells));
                let mut stream = Stream::new(seed, "points of voxels", &[index as u64]);
                // An empty shape is a cloud whose points are all in the centre.
                let mut cloud = points::draw(&shape, count, &mut stream)
                    .unwrap_or_else(|| vec![[0.0; 3]; count]);
                points::to_unit_sphere(&mut cloud);
                let values = Values::F32(cloud.into_iter().flatten().collect());
                let cloud = Buffer::new(vec![count, 3], values)?;
                Ok(Example::new("points", cloud, target))
            }
        }
    }

    fn class(&self, index: usize) -> Option<usize> {
        let label = self.record(index)?.first()?;
        Some(usize::from(*label))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A record with some cells set.
    fn record(label: u8, cells: &[[usize; 3]]) -> Vec<u8> {
        let mut record = vec![0; RECORD];
        record[0] = label;
        for [x, y, z] in cells {
            let place = (x * SIDE + y) * SIDE + z;
            record[1 + place / 8] |= 128 >> (place % 8);
        }
        record
    }

    fn cube(from: usize, side: usize) -> Vec<[usize; 3]> {
        let at = |i: usize| [i / side / side, i / side % side, i % side].map(|x| from + x);
        (0..side.pow(3)).map(at).collect()
    }

    fn open(bytes: &[u8], form: Form, keep: bool) -> Result<Grids, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("train.bin");
        fs::write(&path, bytes).unwrap();
        let info = info("voxels", form, &["a".into(), "b".into()]);
        Grids::read(&path, info, form, None, keep).map_err(|error| error.to_string())
    }

    #[test]
    fn cells_are_in_the_order_of_the_axes() {
        let bytes = [
            record(1, &[[0, 0, 1], [2, 3, 4], [29, 29, 29]]),
            record(0, &[]),
        ]
        .concat();
        let grids = open(&bytes, Form::Cells, true).unwrap();
        assert_eq!(
            (grids.len(), grids.class(0), grids.class(1), grids.class(2)),
            (2, Some(1), Some(0), None)
        );
        let example = grids.get(0).unwrap();
        let voxels = example.input("voxels").unwrap();
        assert_eq!(voxels.shape(), [30, 30, 30]);
        let Values::U8(cells) = voxels.values() else {
            panic!("not bytes")
        };
        let set: Vec<usize> = (0..27_000).filter(|&i| cells[i] == 1).collect();
        assert_eq!(set, [1, 2 * 900 + 3 * 30 + 4, 26_999]);
        assert_eq!(cells.iter().map(|&c| usize::from(c)).sum::<usize>(), 3);
        assert_eq!(open(&bytes, Form::Cells, false).unwrap().len(), 1);
    }

    #[test]
    fn points_are_the_centres_of_the_surface() {
        // Of 5³ cells, 3³ are inside; those at the edge of the grid are on the surface too.
        for from in [0, 10, 25] {
            let bytes = record(0, &cube(from, 5));
            let centres = surface(&unpack(&bytes[1..]));
            assert_eq!(centres.len(), 125 - 27);
            assert!(
                centres
                    .iter()
                    .flatten()
                    .all(|&x| x >= from as f32 + 0.5 && x <= from as f32 + 4.5)
            );
        }
        let form = Form::Points { count: 98, seed: 0 };
        let bytes = [record(0, &cube(10, 5)), record(1, &[])].concat();
        let grids = open(&bytes, form, true).unwrap();
        let example = grids.get(0).unwrap();
        let Values::F32(points) = example.input("points").unwrap().values() else {
            panic!("not floats")
        };
        // A corner is as far from the centre as any point: 1 / √3 along each axis.
        let greatest = points.iter().fold(0.0f32, |a, &b| a.max(b));
        assert!((greatest - 1.0 / 3.0f32.sqrt()).abs() < 1e-5, "{greatest}");
        assert_eq!(grids.get(0).unwrap(), example);
        let empty = grids.get(1).unwrap();
        assert_eq!(
            *empty.input("points").unwrap().values(),
            Values::F32(vec![0.0; 98 * 3])
        );
    }

    #[test]
    fn damage_is_named_with_its_byte() {
        let good = record(1, &[[1, 2, 3]]);
        let error = |bytes: &[u8]| open(bytes, Form::Cells, true).err().unwrap_or_default();
        assert!(
            error(&good[..100]).contains("at byte 0: 100 bytes"),
            "{}",
            error(&good[..100])
        );
        let two = [good.clone(), record(2, &[])].concat();
        assert!(error(&two).contains("at byte 3376: label 2, expected 0 to 1"));
        assert!(error(&two[..3400]).contains("at byte 3376: 3400 bytes"));
        assert!(error(&[]).contains("no whole number"));
        // Neither training nor test shapes may all be empty.
        for keep in [false, true] {
            let zeros = open(&vec![0; 2 * RECORD], Form::Cells, keep).err().unwrap();
            assert!(zeros.contains("no shape has an occupied cell"), "{zeros}");
        }
        let error = check(Path::new("a.bin"), &good, 2, Some(&[1, 0]))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("[0, 1] shapes of the classes, expected [1, 0]"),
            "{error}"
        );
    }
}
