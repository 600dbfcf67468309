//! One file of points or with a mesh, by its extension.

use std::io::Read as _;
use std::path::Path;

use fs_err as fs;

use super::shape::Shape;
use super::{draw, normalize, npy, off, ply, text};
use crate::random::Stream;
use crate::{Buffer, DataError, Values};

/// Extensions that [`read`] knows, in lower case.
pub const EXTENSIONS: [&str; 7] = ["off", "ply", "xyz", "txt", "csv", "pts", "npy"];

/// Largest file that is read.
pub const MAX_BYTES: u64 = 1 << 29;

/// Reads a mesh (`.off`, `.ply`), a list of points (`.xyz`, `.txt`, `.csv`, `.pts`) or an array `[points, 3 or more]` (`.npy`).
/// Memory stays below 8 times the size of the file, which may have at most [`MAX_BYTES`].
///
/// # Errors
/// [`DataError::Io`]; [`DataError::CorruptLine`] or [`DataError::CorruptFile`] with the place of what is wrong;
/// [`DataError::UnknownName`] for another extension.
pub fn read(path: &Path) -> Result<Shape, DataError> {
    let extension = known_extension(path, &EXTENSIONS)?;
    parse(path, &extension, &bytes(path)?)
}

/// The extension of a file in lower case, which must be one of `known`.
pub(super) fn known_extension(path: &Path, known: &[&str]) -> Result<String, DataError> {
    let extension = path.extension().unwrap_or_default().to_string_lossy();
    let extension = extension.to_lowercase();
    if known.contains(&extension.as_str()) {
        return Ok(extension);
    }
    Err(DataError::UnknownName {
        kind: "format: the extension of",
        name: path.display().to_string(),
        known: known.iter().map(|&name| name.into()).collect(),
    })
}

/// The bytes of a file of at most [`MAX_BYTES`].
pub(super) fn bytes(path: &Path) -> Result<Vec<u8>, DataError> {
    let file = fs::File::open(path)?;
    let length = file.metadata()?.len();
    if length > MAX_BYTES {
        return Err(DataError::CorruptFile {
            path: path.into(),
            offset: MAX_BYTES,
            reason: format!("the file has {length} bytes, at most {MAX_BYTES} are read"),
        });
    }
    let mut bytes = Vec::new();
    file.take(MAX_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Parses the bytes of a file with an extension of [`EXTENSIONS`]; `path` is for errors.
///
/// # Errors
/// As [`read`].
pub fn parse(path: &Path, extension: &str, bytes: &[u8]) -> Result<Shape, DataError> {
    match extension {
        "off" => Ok(Shape::Mesh(off::parse(path, bytes)?)),
        "ply" => ply::parse(path, bytes),
        "npy" => Ok(Shape::Points(rows(path, npy::Array::parse(path, bytes)?)?)),
        _ => Ok(Shape::Points(text::parse(path, bytes)?)),
    }
}

/// The first three columns of an array.
fn rows(path: &Path, array: npy::Array) -> Result<Vec<[f32; 3]>, DataError> {
    let columns = match array.shape[..] {
        [points, columns] if points >= 1 && columns >= 3 => columns,
        _ => {
            return Err(DataError::Shape {
                operation: format!("points of {}", path.display()),
                expected: "[points, 3 or more]".into(),
                found: format!("{:?}", array.shape),
            });
        }
    };
    let rows = array.values.chunks_exact(columns);
    Ok(rows
        .filter_map(|row| match *row {
            [x, y, z, ..] => Some([x, y, z]),
            _ => None,
        })
        .collect())
}

/// `count` points of a file, centred and scaled into the unit sphere: what a model of points reads. `members` tell apart
/// the files of a data set; a single file has none.
///
/// # Shapes
/// Gives `f32 [count, 3]`.
///
/// # Errors
/// Those of [`read`]; [`DataError::CorruptFile`] for a mesh without area.
pub fn read_points(
    path: &Path,
    count: usize,
    seed: u64,
    members: &[u64],
) -> Result<Buffer, DataError> {
    let shape = read(path)?;
    let mut stream = Stream::new(seed, "points of a file", members);
    let Some(mut points) = draw::draw(&shape, count, &mut stream) else {
        return Err(DataError::CorruptFile {
            path: path.into(),
            offset: 0,
            reason: "the mesh has no area, so no points can be drawn".into(),
        });
    };
    normalize::to_unit_sphere(&mut points);
    let values = points.into_iter().flatten().collect();
    Buffer::new(vec![count, 3], Values::F32(values))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, text: &str) -> (tempfile::TempDir, std::path::PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        fs::write(&path, text).unwrap();
        (dir, path)
    }

    #[test]
    fn points_of_a_file_are_in_the_unit_sphere_and_always_the_same() {
        let (_dir, path) = file("cube.OFF", "OFF\n3 1 0\n10 0 0\n11 0 0\n10 1 0\n3 0 1 2\n");
        let buffer = read_points(&path, 64, 0, &[]).unwrap();
        assert_eq!(buffer.shape(), [64, 3]);
        let Values::F32(values) = buffer.values() else {
            panic!("not floats")
        };
        let norms = values
            .chunks(3)
            .map(|p| p.iter().map(|x| x * x).sum::<f32>().sqrt());
        let greatest = norms.fold(0.0, f32::max);
        assert!((greatest - 1.0).abs() < 1e-5, "{greatest}");
        assert_eq!(read_points(&path, 64, 0, &[]).unwrap(), buffer);
        assert_ne!(read_points(&path, 64, 1, &[]).unwrap(), buffer);
        assert_ne!(read_points(&path, 64, 0, &[1]).unwrap(), buffer);
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let (_dir, path) = file("a.stl", "solid");
        let error = read(&path).unwrap_err().to_string();
        assert!(
            error.contains("a.stl") && error.contains("off, ply, xyz"),
            "{error}"
        );
        let (_dir, path) = file("flat.off", "OFF\n2 1 0\n0 0 0\n1 0 0\n3 0 1 1\n");
        let error = read_points(&path, 8, 0, &[]).unwrap_err().to_string();
        assert!(
            error.contains("flat.off") && error.contains("no area"),
            "{error}"
        );
        assert!(
            read(Path::new("missing.xyz"))
                .unwrap_err()
                .to_string()
                .contains("missing.xyz")
        );
        let bytes = b"\x93NUMPY\x01\x00\x3b\x00{'descr': '<f4', 'fortran_order': False, 'shape': (3, 1), }0000000000000";
        let error = parse(Path::new("a.npy"), "npy", &bytes[..bytes.len() - 1])
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("expected [points, 3 or more], found [3, 1]"),
            "{error}"
        );
    }

    #[test]
    fn files_that_are_too_long_are_not_read() {
        let (_dir, path) = file("a.xyz", "");
        fs::OpenOptions::new()
            .write(true)
            .open(&path)
            .unwrap()
            .set_len(MAX_BYTES + 1)
            .unwrap();
        let error = read(&path).unwrap_err().to_string();
        assert!(error.contains("536870913 bytes"), "{error}");
    }
}
