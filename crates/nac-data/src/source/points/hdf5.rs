//! Arrays of numbers in HDF5 files; the only file that knows the crate which reads them.
//!
//! The crate is `hdf5-reader`. Of files that h5py writes in ModelNet40's layout (superblocks 0, 2 and 3; contiguous, and
//! chunked under version 1 and 2 B-trees, fixed and extensible arrays and single chunks; gzip, shuffle, Fletcher-32; both
//! byte orders) it reads all but LZF, which ModelNet does not use and which is an error that names the filter.
//! `hdf5-pure` 0.47 reads LZF, but not the chunked layouts of HDF5 2.0 (version 5). On damaged files `hdf5-reader`, with
//! limits on what a read and a chunk may allocate, gave an error or an array for 2,250,000 mutated files and stayed below
//! 10 MB; `hdf5-pure` has no limits and ended on an allocation of 6 GB within the first 21,000.

use std::path::{Path, PathBuf};

use fs_err as fs;
use hdf5_reader::{Datatype, Hdf5File, OpenOptions};

use crate::DataError;

/// Largest file that is read; those of ModelNet40 have at most 60 MB.
const MAX_BYTES: u64 = 1 << 30;
/// An array may be this many times as large as the file, and 1 MiB more. Files of points hardly compress; an array far
/// beyond its file is one of which the file holds nothing.
const MAX_RATIO: usize = 32;
const SLACK: usize = 1 << 20;
const MAX_OBJECT_HEADER: usize = 1 << 20;

/// An open file, held in memory.
pub(super) struct File {
    path: PathBuf,
    file: Hdf5File,
    most: usize,
}

/// An array, row-major; the product of the shape is the number of values.
#[derive(Debug, PartialEq)]
pub(super) struct Array<T> {
    pub(super) shape: Vec<usize>,
    pub(super) values: Vec<T>,
}

impl File {
    /// Reads the file; arrays are decoded when they are asked for.
    pub(super) fn open(path: &Path) -> Result<Self, DataError> {
        let length = fs::metadata(path)?.len();
        if length > MAX_BYTES {
            let reason = format!("the file has {length} bytes, at most {MAX_BYTES} are read");
            return Err(corrupt(path, MAX_BYTES, reason));
        }
        Self::parse(path, fs::read(path)?)
    }

    /// The file of these bytes; `path` is for errors.
    pub(super) fn parse(path: &Path, bytes: Vec<u8>) -> Result<Self, DataError> {
        let most = bytes.len().saturating_mul(MAX_RATIO).saturating_add(SLACK);
        let options = OpenOptions::default()
            .with_max_read_bytes(most)
            .with_max_chunk_bytes(most)
            .with_max_object_header_bytes(MAX_OBJECT_HEADER)
            .with_chunk_cache_bytes(0);
        let file = Hdf5File::from_vec_with_options(bytes, options)
            .map_err(|error| corrupt(path, 0, format!("HDF5: {error}")))?;
        Ok(Self {
            path: path.into(),
            file,
            most,
        })
    }

    /// A data set of single or double precision, as single.
    pub(super) fn floats(&self, name: &str) -> Result<Array<f32>, DataError> {
        let (dataset, shape) = self.dataset(name)?;
        let values = match dataset.dtype() {
            Datatype::FloatingPoint { size: 4, .. } => self.values::<f32>(&dataset)?,
            Datatype::FloatingPoint { size: 8, .. } => {
                let doubles = self.values::<f64>(&dataset)?;
                doubles.into_iter().map(|x| x as f32).collect()
            }
            other => return Err(self.refused(format!("`{name}` is {other:?}, not floats"))),
        };
        self.array(name, shape, values)
    }

    /// A data set of integers of any width, or of floats that are whole numbers.
    pub(super) fn integers(&self, name: &str) -> Result<Array<i64>, DataError> {
        let (dataset, shape) = self.dataset(name)?;
        let wide = |values: Vec<u64>| -> Result<Vec<i64>, DataError> {
            let narrow = values
                .into_iter()
                .map(i64::try_from)
                .collect::<Result<_, _>>();
            narrow.map_err(|_| self.refused(format!("`{name}` has values above 2⁶³")))
        };
        let values = match *dataset.dtype() {
            Datatype::FixedPoint { size, signed, .. } => match (size, signed) {
                (1, false) => widen(self.values::<u8>(&dataset)?),
                (1, true) => widen(self.values::<i8>(&dataset)?),
                (2, false) => widen(self.values::<u16>(&dataset)?),
                (2, true) => widen(self.values::<i16>(&dataset)?),
                (4, false) => widen(self.values::<u32>(&dataset)?),
                (4, true) => widen(self.values::<i32>(&dataset)?),
                (8, false) => wide(self.values::<u64>(&dataset)?)?,
                (8, true) => self.values::<i64>(&dataset)?,
                _ => return Err(self.refused(format!("`{name}` has integers of {size} bytes"))),
            },
            Datatype::FloatingPoint { .. } => {
                let floats = self.floats(name)?.values;
                // Single precision holds all whole numbers up to 2²⁴.
                let whole = |&x: &f32| x.fract() == 0.0 && x.abs() <= 16_777_216.0;
                if !floats.iter().all(whole) {
                    return Err(
                        self.refused(format!("`{name}` has floats that are no whole numbers"))
                    );
                }
                floats.into_iter().map(|x| x as i64).collect()
            }
            ref other => return Err(self.refused(format!("`{name}` is {other:?}, not integers"))),
        };
        self.array(name, shape, values)
    }

    /// A data set and its shape, which the file can be thought to hold.
    fn dataset(&self, name: &str) -> Result<(hdf5_reader::Dataset, Vec<usize>), DataError> {
        let dataset = self
            .file
            .dataset(name)
            .map_err(|error| self.failed(&error))?;
        let dims = dataset.shape();
        let shape: Vec<usize> = dims
            .iter()
            .filter_map(|&d| usize::try_from(d).ok())
            .collect();
        let count = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
        match count {
            Some(count) if shape.len() == dims.len() && count <= self.most => Ok((dataset, shape)),
            _ => Err(self.refused(format!(
                "`{name}` has shape {dims:?}, more than the file can hold"
            ))),
        }
    }

    fn values<T: hdf5_reader::H5Type>(
        &self,
        dataset: &hdf5_reader::Dataset,
    ) -> Result<Vec<T>, DataError> {
        let array = dataset
            .read_array::<T>()
            .map_err(|error| self.failed(&error))?;
        Ok(array.iter().cloned().collect())
    }

    fn array<T>(
        &self,
        name: &str,
        shape: Vec<usize>,
        values: Vec<T>,
    ) -> Result<Array<T>, DataError> {
        if shape.iter().product::<usize>() != values.len() {
            let found = values.len();
            return Err(self.refused(format!("`{name}` has shape {shape:?} and {found} values")));
        }
        Ok(Array { shape, values })
    }

    fn failed(&self, error: &hdf5_reader::error::Error) -> DataError {
        self.refused(error.to_string())
    }

    /// An error about a part of the file; the format has no offsets that a reader could look at.
    pub(super) fn refused(&self, reason: String) -> DataError {
        corrupt(&self.path, 0, format!("HDF5: {reason}"))
    }
}

fn widen<T: Into<i64>>(values: Vec<T>) -> Vec<i64> {
    values.into_iter().map(Into::into).collect()
}

fn corrupt(path: &Path, offset: u64, reason: String) -> DataError {
    DataError::CorruptFile {
        path: path.into(),
        offset,
        reason,
    }
}
