//! Files of JSON lines with an example in each.

use std::io::{BufRead, Read as _};
use std::path::Path;

use crate::DataError;

/// Longest line in bytes.
const MAX_LINE: u64 = 1 << 20;

/// Calls `add` with each line that is not empty, without a byte-order mark; `path` is for errors.
///
/// # Errors
/// [`DataError::CorruptLine`] with the line that is too long or that `add` refuses; [`DataError::Io`].
pub(super) fn for_each(
    path: &Path,
    mut file: impl BufRead,
    mut add: impl FnMut(&[u8]) -> Result<(), String>,
) -> Result<(), DataError> {
    let mut bytes = Vec::new();
    for number in 1.. {
        let corrupt = |reason: String| DataError::CorruptLine {
            path: path.into(),
            line: number,
            reason,
        };
        bytes.clear();
        file.by_ref()
            .take(MAX_LINE + 1)
            .read_until(b'\n', &mut bytes)?;
        if bytes.is_empty() {
            break;
        }
        if bytes.len() as u64 > MAX_LINE {
            return Err(corrupt(format!("longer than {MAX_LINE} bytes")));
        }
        let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
        if !text.trim_ascii().is_empty() {
            add(text).map_err(corrupt)?;
        }
    }
    Ok(())
}
