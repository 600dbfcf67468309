//! Pre-computed features of photographs, from a safetensors file of any size.
//!
//! The file: the length of the header (u64, little-endian), the header (JSON: for each tensor `dtype`, `shape` and
//! `data_offsets` relative to its end), the tensors. Only the header is kept in memory.

use std::collections::{BTreeMap, HashMap};
use std::io::{Read, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use fs_err as fs;
use half::{bf16, f16};
use serde::Deserialize;

use crate::{Buffer, DataError, Values};

/// Longest header.
const MAX_HEADER: u64 = 100_000_000;
/// Most numbers of a tensor.
const MAX_VALUES: usize = 1 << 24;
/// What is no tensor.
const METADATA: &str = "__metadata__";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
enum Dtype {
    F32,
    F16,
    BF16,
}

impl Dtype {
    fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::BF16 => 2,
        }
    }
}

#[derive(Debug, Deserialize)]
struct Tensor {
    dtype: Dtype,
    shape: Vec<usize>,
    data_offsets: [u64; 2],
}

/// Where the features of each photograph are in the file.
#[derive(Debug)]
pub(super) struct Features {
    path: PathBuf,
    /// Offset and type of each tensor.
    places: HashMap<String, (u64, Dtype)>,
    /// Tokens and dimension, the same for all.
    pub(super) shape: [usize; 2],
}

impl Features {
    /// Reads the header.
    ///
    /// # Errors
    /// [`DataError::CorruptFile`] for what is no such file, tensors of unlike shapes, or places beyond its end.
    pub(super) fn open(path: &Path) -> Result<Self, DataError> {
        let file = fs::File::open(path)?;
        let length = file.metadata()?.len();
        Self::parse(path, file, length)
    }

    /// Reads the header of a file of so many bytes.
    pub(super) fn parse(path: &Path, mut file: impl Read, length: u64) -> Result<Self, DataError> {
        let corrupt = |offset: u64, reason: String| DataError::CorruptFile {
            path: path.into(),
            offset,
            reason,
        };
        let mut head = [0; 8];
        if length < 8 {
            return Err(corrupt(
                length,
                "the file ends within the length of the header".into(),
            ));
        }
        file.read_exact(&mut head)?;
        let header = u64::from_le_bytes(head);
        if header > MAX_HEADER || header > length - 8 {
            let reason = format!("a header of {header} bytes in a file of {length}");
            return Err(corrupt(0, reason));
        }
        let mut text = vec![0; header as usize];
        file.read_exact(&mut text)?;
        let start = 8 + header;
        let parsed: BTreeMap<String, serde_json::Value> = serde_json::from_slice(&text)
            .map_err(|error| corrupt(8, format!("the header is no JSON object: {error}")))?;
        let (mut places, mut shape) = (HashMap::new(), None);
        for (name, value) in parsed {
            if name == METADATA {
                continue;
            }
            let wrong = |reason: String| corrupt(8, format!("tensor `{name}`: {reason}"));
            let tensor: Tensor =
                serde_json::from_value(value).map_err(|error| wrong(error.to_string()))?;
            let found = place(&tensor, length - start).map_err(wrong)?;
            if *shape.get_or_insert(found) != found {
                return Err(wrong(format!("shape {found:?}, others have {shape:?}")));
            }
            let [begin, _] = tensor.data_offsets;
            places.insert(name, (start + begin, tensor.dtype));
        }
        let shape = shape.ok_or_else(|| corrupt(8, "there is no tensor".into()))?;
        Ok(Self {
            path: path.into(),
            places,
            shape,
        })
    }

    /// Whether there are features of a photograph.
    pub(super) fn has(&self, name: &str) -> bool {
        self.places.contains_key(name)
    }

    /// The features of a photograph.
    ///
    /// # Shapes
    /// `f32 [tokens, dim]`.
    ///
    /// # Errors
    /// [`DataError::UnknownName`] if there are none; [`DataError::CorruptFile`] for a number that is not finite.
    pub(super) fn read(&self, name: &str) -> Result<Buffer, DataError> {
        let &(offset, dtype) = self.places.get(name).ok_or_else(|| self.missing(name))?;
        let [tokens, dim] = self.shape;
        let mut bytes = vec![0; tokens * dim * dtype.bytes()];
        let mut file = fs::File::open(&self.path)?;
        file.seek(SeekFrom::Start(offset))?;
        file.read_exact(&mut bytes)?;
        let pairs = || bytes.as_chunks::<2>().0.iter();
        let values: Vec<f32> = match dtype {
            Dtype::F32 => {
                let fours = bytes.as_chunks::<4>().0.iter();
                fours.map(|&b| f32::from_le_bytes(b)).collect()
            }
            Dtype::F16 => pairs().map(|&b| f16::from_le_bytes(b).to_f32()).collect(),
            Dtype::BF16 => pairs().map(|&b| bf16::from_le_bytes(b).to_f32()).collect(),
        };
        if let Some(at) = values.iter().position(|value| !value.is_finite()) {
            return Err(DataError::CorruptFile {
                path: self.path.clone(),
                offset: offset + (at * dtype.bytes()) as u64,
                reason: format!("`{name}` has the number {}", values[at]),
            });
        }
        Buffer::new(vec![tokens, dim], Values::F32(values))
    }

    /// The error for a photograph without features.
    pub(super) fn missing(&self, name: &str) -> DataError {
        DataError::CorruptFile {
            path: self.path.clone(),
            offset: 8,
            reason: format!("there is no tensor `{name}`"),
        }
    }
}

/// Checks that a tensor is a matrix that lies within `length` bytes.
fn place(tensor: &Tensor, length: u64) -> Result<[usize; 2], String> {
    let &[tokens, dim] = tensor.shape.as_slice() else {
        return Err(format!("shape {:?}, expected [tokens, dim]", tensor.shape));
    };
    let values = tokens.checked_mul(dim);
    let Some(values) = values.filter(|count| (1..=MAX_VALUES).contains(count)) else {
        return Err(format!(
            "{tokens} × {dim} numbers, expected 1 to {MAX_VALUES}"
        ));
    };
    let bytes = (values * tensor.dtype.bytes()) as u64;
    let [begin, end] = tensor.data_offsets;
    if end > length || end.checked_sub(begin) != Some(bytes) {
        let reason = format!("bytes {begin} to {end} of {length}, expected {bytes} of them");
        return Err(reason);
    }
    Ok([tokens, dim])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn file(header: &str, data: &[u8]) -> Vec<u8> {
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        bytes.extend(data);
        bytes
    }

    fn opened(bytes: &[u8]) -> Result<(tempfile::NamedTempFile, Features), String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), bytes).unwrap();
        let features = Features::open(file.path()).map_err(|error| error.to_string())?;
        Ok((file, features))
    }

    const HEADER: &str = r#"{"__metadata__": {"format": "pt"}, "a": {"dtype": "F32", "shape": [1, 2], "data_offsets": [0, 8]}, "b": {"dtype": "F16", "shape": [1, 2], "data_offsets": [8, 12]}, "c": {"dtype": "BF16", "shape": [1, 2], "data_offsets": [12, 16]}}"#;

    fn data() -> Vec<u8> {
        let mut data = Vec::new();
        data.extend(1.5f32.to_le_bytes());
        data.extend((-2.0f32).to_le_bytes());
        data.extend([0x00, 0x3e, 0x00, 0xc0]);
        data.extend([0xc0, 0x3f, 0x00, 0xc0]);
        data
    }

    #[test]
    fn three_types_are_read() {
        let (_file, features) = opened(&file(HEADER, &data())).unwrap();
        assert_eq!(features.shape, [1, 2]);
        for name in ["a", "b", "c"] {
            let read = features.read(name).unwrap();
            assert_eq!(*read.values(), Values::F32(vec![1.5, -2.0]));
        }
        assert!(features.has("a") && !features.has("d"));
        let error = features.read("d").unwrap_err().to_string();
        assert!(error.contains("no tensor `d`"), "{error}");
    }

    #[test]
    fn damaged_files_are_refused() {
        let mut nan = data();
        nan[..4].copy_from_slice(&f32::NAN.to_le_bytes());
        let (_file, features) = opened(&file(HEADER, &nan)).unwrap();
        assert!(features.read("a").unwrap_err().to_string().contains("NaN"));
        for (from, to, part) in [
            ("[0, 8]", "[0, 9]", "bytes 0 to 9"),
            ("[12, 16]", "[16, 20]", "bytes 16 to 20"),
            ("[0, 8]", "[8, 0]", "bytes 8 to 0"),
            (
                "\"F32\", \"shape\": [1, 2]",
                "\"F32\", \"shape\": [2]",
                "[tokens, dim]",
            ),
            (
                "\"F32\", \"shape\": [1, 2]",
                "\"F32\", \"shape\": [2, 1]",
                "shape [1, 2]",
            ),
            ("\"F32\"", "\"I8\"", "tensor `a`"),
            ("[1, 2]", "[18446744073709551615, 2]", "numbers"),
        ] {
            let error = opened(&file(&HEADER.replacen(from, to, 1), &data())).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
        assert!(opened(b"1234").is_err());
        assert!(opened(&[255; 64]).unwrap_err().contains("header"));
        assert!(opened(&file("{}", &[])).unwrap_err().contains("no tensor"));
    }

    proptest! {
        #[test]
        fn mutated_files_are_read_or_refused(at in 0..HEADER.len() + 24, byte: u8) {
            let mut bytes = file(HEADER, &data());
            bytes[at] = byte;
            if let Ok((_file, features)) = opened(&bytes) {
                let _ = features.read("a");
            }
        }
    }
}
