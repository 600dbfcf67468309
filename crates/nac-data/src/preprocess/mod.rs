//! Files as the inputs of a trained model: what [`Preprocessing`] describes, carried out.
//!
//! A model that is exported carries, for each input, its [`InputKind`] and how a file becomes it. [`read_file`] does the
//! same to a file as the data set did to the files that the model was trained on, without that data set.
//!
//! ```
//! use nac_data::preprocess::read_text;
//! use nac_data::{InputKind, Preprocessing, Values};
//!
//! let kind = InputKind::Tokens { vocabulary: 257, max_len: 4, pad: 0 };
//! let tokens = read_text("Hello", "tokens", &kind, &Preprocessing::Bytes {})?;
//! assert_eq!(*tokens.values(), Values::I64(vec![73, 102, 109, 109]));
//! # Ok::<(), nac_data::DataError>(())
//! ```

mod columns;
pub(crate) mod text;

use std::path::Path;

use crate::image_file;
use crate::source::points::{read_points, read_voxels};
use crate::{Buffer, DataError, InputKind, Preprocessing};

/// Draws the points of a mesh: the same ones of the same file.
const POINTS_SEED: u64 = 0;

/// The examples of a file for the input `name`: one, or one for each row of a table.
///
/// # Shapes
/// Each as [`InputKind`] says, without the batch: images `u8 [channels, height, width]`, tokens `i64 [length]`, points
/// `f32 [points, dims]`, voxels `u8 [x, y, z]`, features `f32 [items, dim]`.
///
/// # Errors
/// The file cannot be read, is damaged or empty, or a table lacks a column or has a field that is no number: with the
/// file and the place in it. [`DataError::Config`] if the preprocessing is not one for such an input.
pub fn read_file(
    path: &Path,
    name: &str,
    kind: &InputKind,
    how: &Preprocessing,
) -> Result<Vec<Buffer>, DataError> {
    match (how, kind) {
        (Preprocessing::Columns { columns }, &InputKind::Features { items, dim: 1, .. })
            if columns.len() == items =>
        {
            columns::read(path, columns)
        }
        (
            &Preprocessing::Image { resize, filter },
            &InputKind::Image {
                channels,
                height,
                width,
                ..
            },
        ) => {
            let size = [channels, height, width];
            Ok(vec![image_file::prepare(path, size, resize, filter)?])
        }
        (Preprocessing::Points {}, &InputKind::Points { points, dims: 3 }) => {
            Ok(vec![read_points(path, points, POINTS_SEED, &[])?])
        }
        (Preprocessing::Voxels {}, &InputKind::Voxels { size }) => {
            Ok(vec![read_voxels(path, size)?])
        }
        (_, &InputKind::Tokens { max_len, .. }) if takes_text(how) => {
            let text = text::read(path, max_len)?;
            let shown = path.display().to_string();
            Ok(vec![text::symbols(&text, &shown, max_len, how)?])
        }
        _ => Err(mismatch(name, kind, how)),
    }
}

/// Whether an input can be given as a text instead of a file.
#[must_use]
pub fn takes_text(how: &Preprocessing) -> bool {
    matches!(
        how,
        Preprocessing::Bytes {} | Preprocessing::Words { .. } | Preprocessing::Symbols { .. }
    )
}

/// The symbols of a text for the input `name`, `i64 [length]`; a text that is too long loses its end.
///
/// # Errors
/// [`DataError::Config`] with `name` for an empty text, a symbol that is not known, or an input that is no text.
pub fn read_text(
    text: &str,
    name: &str,
    kind: &InputKind,
    how: &Preprocessing,
) -> Result<Buffer, DataError> {
    match kind {
        InputKind::Tokens { max_len, .. } if takes_text(how) => {
            text::symbols(text.as_bytes(), name, *max_len, how)
        }
        _ => Err(mismatch(name, kind, how)),
    }
}

fn mismatch(name: &str, kind: &InputKind, how: &Preprocessing) -> DataError {
    let from = match how {
        Preprocessing::Image { .. } => "image",
        Preprocessing::Bytes {} => "bytes",
        Preprocessing::Words { .. } => "words",
        Preprocessing::Symbols { .. } => "symbols",
        Preprocessing::Points {} => "points",
        Preprocessing::Voxels {} => "voxels",
        Preprocessing::Columns { .. } => "columns",
        _ => "this",
    };
    DataError::Config {
        field: format!("preprocessing.{name}"),
        reason: format!("`{from}` does not give {}", kind.describe()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Values;

    #[test]
    fn files_are_read_as_the_preprocessing_says() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.txt");
        std::fs::write(&path, "Hi").unwrap();
        let tokens = InputKind::Tokens {
            vocabulary: 257,
            max_len: 8,
            pad: 0,
        };
        let bytes = Preprocessing::Bytes {};
        let found = read_file(&path, "tokens", &tokens, &bytes).unwrap();
        assert_eq!(*found[0].values(), Values::I64(vec![73, 106]));
        assert_eq!(
            found[0],
            read_text("Hi", "tokens", &tokens, &bytes).unwrap()
        );

        let features = |items| InputKind::Features {
            items,
            dim: 1,
            padded: false,
        };
        let column = nac_core::model::Column {
            name: "x".into(),
            mean: 1.0,
            std: 2.0,
        };
        let columns = Preprocessing::Columns {
            columns: vec![column],
        };
        std::fs::write(&path, "y,x\n0,5\n0,1\n").unwrap();
        let found = read_file(&path, "features", &features(1), &columns).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].describe(), "f32 [1, 1]");
        assert_eq!(*found[0].values(), Values::F32(vec![2.0]));

        for (kind, how) in [
            (features(2), &columns),
            (features(1), &bytes),
            (tokens, &columns),
        ] {
            let error = read_file(&path, "in", &kind, how).unwrap_err().to_string();
            assert!(error.contains("preprocessing.in"), "{error}");
        }
    }
}
