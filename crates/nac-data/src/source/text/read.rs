//! Text files, read in parallel.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use fs_err as fs;
use rayon::prelude::*;

use super::corpus::Corpus;
use crate::progress::note_left_out;
use crate::random::Stream;
use crate::source::Request;
use crate::source::class_folders::Labelled;
use crate::{DataError, TextLevel, TextSettings};

/// The mark that some programs put before UTF-8 text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// Bytes of a text that are kept for each word of the longest text.
const BYTES_PER_WORD: usize = 16;
/// Longest text in symbols.
const MAX_LEN: usize = 1 << 20;
const ORDER_SEED: u64 = 0;

/// Checks the settings.
pub(super) fn check(settings: &TextSettings) -> Result<(), DataError> {
    let wrong = |field: &str, reason: String| {
        Err(DataError::Config {
            field: format!("data.text.{field}"),
            reason,
        })
    };
    if !(1..=MAX_LEN).contains(&settings.max_len) {
        let reason = format!("{} symbols; it must be 1 to {MAX_LEN}", settings.max_len);
        return wrong("max_len", reason);
    }
    if settings.vocabulary == 0 || settings.vocabulary > MAX_LEN {
        let reason = format!("{} words; it must be 1 to {MAX_LEN}", settings.vocabulary);
        return wrong("vocabulary", reason);
    }
    Ok(())
}

/// As much of a text as can be used: without a byte-order mark, cut to the longest text.
///
/// # Errors
/// The offset of what is not UTF-8, for texts of words; a text of nothing but white space, or of no byte.
pub(super) fn usable<'a>(
    text: &'a [u8],
    settings: &TextSettings,
) -> Result<&'a [u8], (usize, String)> {
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    if text.is_empty() {
        return Err((0, "the text is empty".into()));
    }
    let most = bytes(settings);
    let cut = text.get(..most).unwrap_or(text);
    if settings.level == TextLevel::Bytes {
        return Ok(cut);
    }
    let valid = match std::str::from_utf8(cut) {
        Ok(valid) => valid,
        // A character that the cut divides.
        Err(error) if error.error_len().is_none() && cut.len() < text.len() => {
            let whole = cut.get(..error.valid_up_to()).unwrap_or_default();
            std::str::from_utf8(whole).unwrap_or_default()
        }
        Err(error) => {
            let reason = "the text is not UTF-8; raw bytes may be anything: data.text.level";
            return Err((error.valid_up_to(), reason.into()));
        }
    };
    if valid.trim().is_empty() {
        return Err((0, "the text has no word".into()));
    }
    Ok(valid.as_bytes())
}

/// Bytes of a text that are kept.
fn bytes(settings: &TextSettings) -> usize {
    match settings.level {
        TextLevel::Bytes => settings.max_len,
        TextLevel::Words => settings.max_len.saturating_mul(BYTES_PER_WORD),
    }
}

/// The texts of files in an order that is fixed and does not tell the class.
///
/// # Errors
/// The first file that cannot be read or used, unless `data.skip_unreadable` is set; no file is left.
pub(super) fn files(
    part: &str,
    mut files: Vec<Labelled>,
    request: &Request<'_>,
) -> Result<Corpus, DataError> {
    Stream::new(ORDER_SEED, "order of text files", &[]).shuffle(&mut files);
    let progress = request.progress;
    let what = format!("reading {part} texts");
    progress.start(&what, Some(files.len() as u64), "files");
    let done = AtomicU64::new(0);
    let read: Vec<Result<Vec<u8>, DataError>> = files
        .par_iter()
        .map(|(path, _)| {
            let text = file(path, &request.config.text);
            progress.at(done.fetch_add(1, Ordering::Relaxed) + 1);
            text
        })
        .collect();
    progress.finish();
    let (mut corpus, mut refused) = (Corpus::default(), Vec::new());
    let total = files.len();
    for (text, (_, class)) in read.into_iter().zip(files) {
        match text {
            Ok(text) => corpus.push(&text, class),
            Err(error) if request.config.skip_unreadable => refused.push(error.to_string()),
            Err(error) => return Err(error),
        }
    }
    left_out(part, &refused, total, request);
    if corpus.len() == 0 {
        return Err(DataError::Config {
            field: "data.path".into(),
            reason: format!("none of the {total} {part} files can be read"),
        });
    }
    Ok(corpus)
}

/// Says what is left out.
pub(super) fn left_out(part: &str, refused: &[String], total: usize, request: &Request<'_>) {
    let what = format!("{part} texts cannot be read");
    note_left_out(request.progress, &what, total, refused);
}

/// One file.
fn file(path: &Path, settings: &TextSettings) -> Result<Vec<u8>, DataError> {
    // One byte more than is kept tells whether a character at the end is divided.
    let most = (bytes(settings) + BYTE_ORDER_MARK.len() + 1) as u64;
    let mut text = Vec::new();
    fs::File::open(path)?.take(most).read_to_end(&mut text)?;
    match usable(&text, settings) {
        Ok(usable) => Ok(usable.to_vec()),
        Err((offset, reason)) => Err(DataError::CorruptFile {
            path: PathBuf::from(path),
            offset: offset as u64,
            reason,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn settings(level: TextLevel, max_len: usize) -> TextSettings {
        TextSettings {
            level,
            max_len,
            ..TextSettings::default()
        }
    }

    #[test]
    fn marks_go_and_long_texts_lose_their_end() {
        let bytes = settings(TextLevel::Bytes, 4);
        assert_eq!(usable(b"\xef\xbb\xbfabcdef", &bytes).unwrap(), b"abcd");
        assert_eq!(usable(b"\xff\xfe", &bytes).unwrap(), b"\xff\xfe");
        assert!(
            usable(b"\xef\xbb\xbf", &bytes)
                .unwrap_err()
                .1
                .contains("empty")
        );
        let words = settings(TextLevel::Words, 1);
        // 16 bytes end within the second umlaut.
        let text = "aaaaaaaaaaaaa\u{e4}\u{e4} x";
        assert_eq!(
            usable(text.as_bytes(), &words).unwrap(),
            "aaaaaaaaaaaaa\u{e4}".as_bytes()
        );
        assert_eq!(usable(b"ab\xff", &words).unwrap_err().0, 2);
        assert!(
            usable(b"ab\xc3", &words).is_err(),
            "the file ends within a character"
        );
        assert!(usable(b" \n\t ", &words).unwrap_err().1.contains("no word"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_used_or_refused(text in proptest::collection::vec(any::<u8>(), 0..80), max_len in 1_usize..5) {
            for level in [TextLevel::Bytes, TextLevel::Words] {
                let settings = settings(level, max_len);
                match usable(&text, &settings) {
                    Ok(used) => prop_assert!(!used.is_empty() && used.len() <= bytes(&settings)),
                    Err((offset, _)) => prop_assert!(offset <= text.len()),
                }
            }
        }
    }
}
