//! One file of voxels: an array of NumPy (`.npy`), or run lengths of binvox (`.binvox`).
//!
//! Binvox (Min 2004, <https://www.patrickmin.com/binvox/>): text lines `#binvox 1`, `dim x z y` and others up to `data`,
//! then pairs of bytes, a value 0 or 1 and how often it comes, in the order x, z, y (y fastest).

use std::path::Path;

use super::{file, npy};
use crate::{Buffer, DataError, Values};

/// Longest header of a binvox file.
const MAX_HEADER: usize = 4096;

/// The cells of a file, 1 where the value is at least a half, else 0.
///
/// # Shapes
/// Gives `u8 [x, y, z]`, which is `size`.
///
/// # Errors
/// [`DataError::Io`]; [`DataError::CorruptFile`] with the byte of what is wrong; [`DataError::Shape`] for another size;
/// [`DataError::UnknownName`] for another extension.
pub fn read_voxels(path: &Path, size: [usize; 3]) -> Result<Buffer, DataError> {
    let extension = file::known_extension(path, &["npy", "binvox"])?;
    parse_voxels(path, &extension, &file::bytes(path)?, size)
}

/// As [`read_voxels`], of the bytes of a file with the extension `npy` or `binvox`; `path` is for errors.
///
/// # Errors
/// As [`read_voxels`].
pub fn parse_voxels(
    path: &Path,
    extension: &str,
    bytes: &[u8],
    size: [usize; 3],
) -> Result<Buffer, DataError> {
    let cells = if extension == "npy" {
        let array = npy::Array::parse(path, bytes)?;
        check_size(path, &array.shape, size)?;
        array.values.iter().map(|&x| u8::from(x >= 0.5)).collect()
    } else {
        binvox(path, bytes, size)?
    };
    Buffer::new(size.to_vec(), Values::U8(cells))
}

fn check_size(path: &Path, found: &[usize], size: [usize; 3]) -> Result<(), DataError> {
    if *found == size {
        return Ok(());
    }
    Err(DataError::Shape {
        operation: format!("voxels of {}", path.display()),
        expected: format!("{size:?}"),
        found: format!("{found:?}"),
    })
}

fn binvox(path: &Path, bytes: &[u8], size: [usize; 3]) -> Result<Vec<u8>, DataError> {
    let corrupt = |offset: usize, reason: String| DataError::CorruptFile {
        path: path.into(),
        offset: offset as u64,
        reason,
    };
    if !bytes.starts_with(b"#binvox") {
        return Err(corrupt(
            0,
            "no binvox file: it does not start with #binvox".into(),
        ));
    }
    let head = &bytes[..bytes.len().min(MAX_HEADER)];
    let marker = b"\ndata\n";
    let end = head
        .windows(marker.len())
        .position(|window| window == marker);
    let end = end.ok_or_else(|| corrupt(head.len(), "the header has no line `data`".into()))?;
    let text = std::str::from_utf8(&head[..end])
        .map_err(|error| corrupt(error.valid_up_to(), "the header is not UTF-8".into()))?;
    let dims = text.lines().find_map(|line| line.strip_prefix("dim "));
    let dims = dims.ok_or_else(|| corrupt(0, "the header has no line `dim`".into()))?;
    let dims: Vec<usize> = dims
        .split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect();
    let [x, z, y] = dims[..] else {
        return Err(corrupt(0, "`dim` needs three numbers".into()));
    };
    check_size(path, &[x, y, z], size)?;

    // The size is that of the model: what follows needs no more than it.
    let count = x * y * z;
    let mut runs = Vec::with_capacity(count);
    let start = end + marker.len();
    for (number, pair) in bytes[start..].chunks(2).enumerate() {
        let at = start + 2 * number;
        let (value, length) = match *pair {
            [value @ (0 | 1), length] if length > 0 => (value, usize::from(length)),
            _ => {
                let reason = "a run must be a value 0 or 1 and a length of 1 to 255";
                return Err(corrupt(at, reason.into()));
            }
        };
        if length > count - runs.len() {
            return Err(corrupt(
                at,
                format!("the runs have more than {count} cells"),
            ));
        }
        runs.resize(runs.len() + length, value);
    }
    if runs.len() != count {
        return Err(corrupt(
            bytes.len(),
            format!("the runs have {} cells, not {count}", runs.len()),
        ));
    }
    let place = |number: usize| (number / (y * z) * z + number % z) * y + number / z % y;
    Ok((0..count)
        .filter_map(|number| runs.get(place(number)).copied())
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: [usize; 3] = [2, 3, 4];

    /// A file of 2×3×4 cells (`dim x z y`) with these runs.
    fn file(runs: &[u8]) -> Vec<u8> {
        let mut bytes = b"#binvox 1\ndim 2 4 3\ntranslate 0 0 0\nscale 1\ndata\n".to_vec();
        bytes.extend(runs);
        bytes
    }

    fn read(bytes: &[u8]) -> Result<Buffer, String> {
        parse_voxels(Path::new("a.binvox"), "binvox", bytes, SIZE).map_err(|e| e.to_string())
    }

    #[test]
    fn runs_go_along_y_then_z_then_x() {
        // Cell number 17 in the order x, z, y is x = 1, z = 1, y = 2.
        let buffer = read(&file(&[0, 10, 0, 7, 1, 1, 0, 6])).unwrap();
        let Values::U8(cells) = buffer.values() else {
            panic!("not bytes")
        };
        let set: Vec<usize> = (0..24).filter(|&i| cells[i] == 1).collect();
        assert_eq!((buffer.shape(), set), (&SIZE[..], vec![12 + 2 * 4 + 1]));
    }

    #[test]
    fn damage_is_named_with_its_byte() {
        for (bytes, part) in [
            (b"#voxels".to_vec(), "at byte 0: no binvox"),
            (b"#binvox 1\ndim 2 4 3\n".to_vec(), "no line `data`"),
            (b"#binvox 1\ndim 2 4\ndata\n".to_vec(), "three numbers"),
            (
                b"#binvox 1\ndim 9 9 99999999999\ndata\n".to_vec(),
                "expected [2, 3, 4]",
            ),
            (file(&[0, 23]), "23 cells, not 24"),
            (file(&[0, 25]), "at byte 49: the runs have more than 24"),
            (file(&[0, 20, 2, 4]), "at byte 51: a run must be"),
            (file(&[0, 24, 1]), "at byte 51"),
            (file(&[0, 0]), "at byte 49"),
        ] {
            let error = read(&bytes).unwrap_err();
            assert!(error.contains(part), "{part}: {error}");
        }
    }

    #[test]
    fn files_are_known_by_their_extension() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.binvox");
        std::fs::write(&path, file(&[1, 24])).unwrap();
        let expected = Buffer::new(SIZE.to_vec(), Values::U8(vec![1; 24])).unwrap();
        assert_eq!(read_voxels(&path, SIZE).unwrap(), expected);
        let error = read_voxels(&path, [2, 4, 3]).unwrap_err().to_string();
        assert!(
            error.contains("expected [2, 4, 3], found [2, 3, 4]"),
            "{error}"
        );
        let error = read_voxels(Path::new("a.vox"), SIZE)
            .unwrap_err()
            .to_string();
        assert!(error.contains("npy, binvox"), "{error}");
    }

    #[test]
    fn arrays_are_cells_where_they_are_at_least_a_half() {
        let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1, 3), }";
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.extend([0.49f32, 0.5, 1.0].iter().flat_map(|x| x.to_le_bytes()));
        let buffer = parse_voxels(Path::new("a.npy"), "npy", &bytes, [1, 1, 3]).unwrap();
        assert_eq!(*buffer.values(), Values::U8(vec![0, 1, 1]));
    }
}
