//! The lines of a text file that hold something, with their numbers.

use std::path::{Path, PathBuf};

use crate::DataError;

/// Lines without comments, white space at the ends, and empty ones. A comment starts with `#` or `//`.
pub(super) struct Lines<'a> {
    path: &'a Path,
    rest: &'a [u8],
    number: u64,
}

/// A line and its number, counted from 1.
#[derive(Clone, Copy)]
pub(super) struct Line<'a> {
    pub(super) text: &'a str,
    pub(super) number: u64,
    path: &'a Path,
}

impl<'a> Lines<'a> {
    pub(super) fn new(path: &'a Path, bytes: &'a [u8]) -> Self {
        let rest = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        Self {
            path,
            rest,
            number: 0,
        }
    }

    /// The next line; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Line<'a>>, DataError> {
        while !self.rest.is_empty() {
            let end = self.rest.iter().position(|&byte| byte == b'\n');
            let (line, rest) = match end {
                Some(end) => (&self.rest[..end], &self.rest[end + 1..]),
                None => (self.rest, &[][..]),
            };
            self.rest = rest;
            self.number += 1;
            let text = std::str::from_utf8(line)
                .map_err(|_| self.refused("the text is not UTF-8".into()))?;
            let text = text.split('#').next().unwrap_or_default();
            let text = text.split("//").next().unwrap_or_default().trim();
            if !text.is_empty() {
                return Ok(Some(Line {
                    text,
                    number: self.number,
                    path: self.path,
                }));
            }
        }
        Ok(None)
    }

    /// The next line, or an error at the end that says what is missing.
    pub(super) fn expect(&mut self, what: impl Fn() -> String) -> Result<Line<'a>, DataError> {
        match self.next()? {
            Some(line) => Ok(line),
            None => {
                self.number += 1;
                Err(self.refused(format!("the file ends before {}", what())))
            }
        }
    }

    /// Bytes that are left.
    pub(super) fn bytes_left(&self) -> usize {
        self.rest.len()
    }

    /// An error at the line that was read last.
    pub(super) fn refused(&self, reason: String) -> DataError {
        refused(self.path.into(), self.number, reason)
    }
}

impl Line<'_> {
    /// An error at this line.
    pub(super) fn refused(&self, reason: String) -> DataError {
        refused(self.path.into(), self.number, reason)
    }

    /// A finite coordinate.
    pub(super) fn coordinate(&self, word: &str) -> Result<f32, DataError> {
        let value = word.parse::<f32>();
        value.ok().filter(|x| x.is_finite()).ok_or_else(|| {
            let word: String = word.chars().take(40).collect();
            self.refused(format!("`{word}` is no finite coordinate"))
        })
    }
}

fn refused(path: PathBuf, line: u64, reason: String) -> DataError {
    DataError::CorruptLine { path, line, reason }
}
