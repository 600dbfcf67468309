//! Texts as symbols.

use std::collections::HashMap;
use std::io::Read as _;
use std::path::Path;

use fs_err as fs;

use crate::{Buffer, DataError, Preprocessing, words};

/// Bytes of a file that are read for each symbol of the longest text; the rest of the file is not looked at.
const BYTES_PER_SYMBOL: u64 = 64;

/// The start of a text file, as much as a model of `max_len` symbols can use.
pub(super) fn read(path: &Path, max_len: usize) -> Result<Vec<u8>, DataError> {
    let most = (max_len as u64).saturating_mul(BYTES_PER_SYMBOL);
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(most).read_to_end(&mut bytes)?;
    // A byte-order mark is not part of a text.
    if bytes.starts_with(b"\xef\xbb\xbf") {
        bytes.drain(..3);
    }
    Ok(bytes)
}

/// Number of symbols of bytes or words, padding included.
pub(crate) fn symbol_count(how: &Preprocessing) -> usize {
    match how {
        // Padding and unknown words are beside them.
        Preprocessing::Words { words } => words.len() + 2,
        _ => 257,
    }
}

/// The first `max_len` symbols of a text; `name` is what errors call it.
pub(crate) fn symbols(
    text: &[u8],
    name: &str,
    max_len: usize,
    how: &Preprocessing,
) -> Result<Buffer, DataError> {
    let ids: Vec<i64> = match how {
        Preprocessing::Bytes {} => text
            .iter()
            .map(|&b| i64::from(b) + 1)
            .take(max_len)
            .collect(),
        Preprocessing::Words { words: listed } => {
            let known = numbered(listed, 2);
            let text = String::from_utf8_lossy(text);
            let found = words::split(&text).take(max_len);
            let mut ids: Vec<i64> = found
                .map(|word| known.get(word.as_str()).copied().unwrap_or(1))
                .collect();
            if ids.is_empty() && !text.trim().is_empty() {
                // Signs alone.
                ids.push(1);
            }
            ids
        }
        Preprocessing::Symbols { symbols } => {
            let known = numbered(symbols, 1);
            let text = String::from_utf8_lossy(text);
            let id = |(position, symbol): (usize, &str)| {
                known.get(symbol).copied().ok_or_else(|| {
                    refused(
                        name,
                        format!("symbol {position} is `{symbol}`, which the model does not know"),
                    )
                })
            };
            let found = text.split_whitespace().take(max_len).enumerate();
            found.map(id).collect::<Result<_, _>>()?
        }
        _ => Vec::new(),
    };
    if ids.is_empty() {
        return Err(refused(name, "the text is empty".into()));
    }
    Ok(Buffer::tokens(ids))
}

fn refused(name: &str, reason: String) -> DataError {
    DataError::Config {
        field: name.into(),
        reason,
    }
}

fn numbered(names: &[String], first: i64) -> HashMap<&str, i64> {
    names.iter().map(String::as_str).zip(first..).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Values;

    fn ids(text: &[u8], max_len: usize, how: &Preprocessing) -> Result<Vec<i64>, String> {
        match symbols(text, "t", max_len, how).map(Buffer::into_parts) {
            Ok((_, Values::I64(ids))) => Ok(ids),
            Ok(_) => Err("no symbols".into()),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn bytes_words_and_symbols_have_their_numbers() {
        let bytes = Preprocessing::Bytes {};
        assert_eq!(ids(b"\x00\xffab", 3, &bytes).unwrap(), [1, 256, 98]);
        let words = Preprocessing::Words {
            words: vec!["is".into(), "it".into()],
        };
        assert_eq!(ids(b"It IS red\n it", 9, &words).unwrap(), [3, 2, 1, 3]);
        assert_eq!(ids("*!".as_bytes(), 9, &words).unwrap(), [1]);
        let symbols = Preprocessing::Symbols {
            symbols: vec!["[MAX".into(), "]".into(), "7".into()],
        };
        assert_eq!(ids(b"[MAX 7 ]", 9, &symbols).unwrap(), [1, 3, 2]);
        assert_eq!(ids(b"[MAX 7 ]", 2, &symbols).unwrap(), [1, 3]);
        let error = ids(b"[MAX 8 ]", 9, &symbols).unwrap_err();
        assert!(error.contains("symbol 1 is `8`"), "{error}");
        for how in [&bytes, &words, &symbols] {
            assert!(
                ids(b"", 9, how)
                    .unwrap_err()
                    .contains("t: the text is empty")
            );
        }
    }

    #[test]
    fn long_files_are_read_only_as_far_as_needed() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), vec![b'a'; 10_000]).unwrap();
        assert_eq!(read(file.path(), 2).unwrap().len(), 128);
        std::fs::write(file.path(), "\u{feff}ab").unwrap();
        assert_eq!(read(file.path(), 2).unwrap(), b"ab");
        assert!(read(Path::new("no-such-file"), 2).is_err());
    }
}
