//! [`JsonLines`]: two fields of each line of a file of JSON objects.

use std::io::{BufRead, BufReader, Read as _};
use std::path::{Path, PathBuf};

use fs_err as fs;
use serde_json::Value;

use crate::DataError;

/// Number of the line, text, class.
pub(super) type Line = (u64, String, String);

/// Longest line.
const MAX_LINE: u64 = 1 << 26;

/// A file with a JSON object in each line; empty lines are passed over.
pub(super) struct JsonLines {
    path: PathBuf,
    lines: BufReader<fs::File>,
    fields: [String; 2],
    line: u64,
    ended: bool,
}

impl JsonLines {
    pub(super) fn open(path: &Path, fields: [&str; 2]) -> Result<Self, DataError> {
        Ok(Self {
            path: path.into(),
            lines: BufReader::new(fs::File::open(path)?),
            fields: fields.map(String::from),
            line: 0,
            ended: false,
        })
    }

    /// The next line that is not empty.
    fn next_line(&mut self) -> Result<Option<Vec<u8>>, DataError> {
        loop {
            let mut bytes = Vec::new();
            let read = self
                .lines
                .by_ref()
                .take(MAX_LINE)
                .read_until(b'\n', &mut bytes)?;
            if read == 0 {
                return Ok(None);
            }
            self.line += 1;
            if read as u64 == MAX_LINE {
                self.ended = true;
                return Err(self.corrupt(format!("the line has more than {MAX_LINE} bytes")));
            }
            if self.line == 1 && bytes.starts_with(b"\xef\xbb\xbf") {
                bytes.drain(..3);
            }
            if !bytes.trim_ascii().is_empty() {
                return Ok(Some(bytes));
            }
        }
    }

    fn read(&mut self) -> Result<Option<Line>, DataError> {
        let Some(bytes) = self.next_line()? else {
            return Ok(None);
        };
        let value: Value = serde_json::from_slice(&bytes)
            .map_err(|error| self.corrupt(format!("the line is no JSON object: {error}")))?;
        let field = |name: &str| match value.get(name) {
            Some(Value::String(text)) => Ok(text.clone()),
            Some(value @ (Value::Number(_) | Value::Bool(_))) => Ok(value.to_string()),
            Some(_) => Err(self.corrupt(format!("field `{name}` is neither text nor number"))),
            None => Err(self.corrupt(format!("there is no field `{name}`"))),
        };
        let [text, class] = &self.fields;
        Ok(Some((self.line, field(text)?, field(class)?)))
    }

    fn corrupt(&self, reason: String) -> DataError {
        DataError::CorruptLine {
            path: self.path.clone(),
            line: self.line,
            reason,
        }
    }
}

impl Iterator for JsonLines {
    type Item = Result<Line, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let read = self.read();
        // A file that cannot be read will not be readable later.
        self.ended |= matches!(read, Err(DataError::Io(_)));
        read.transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_and_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text = "\u{feff}{\"t\": \"a b\", \"c\": 1}\n\n{\"t\": 3}\n[1]\n{\n{\"t\": [], \"c\": true}\n{\"t\":\"x\",\"c\":true}";
        std::fs::write(file.path(), text).unwrap();
        let found: Vec<_> = JsonLines::open(file.path(), ["t", "c"]).unwrap().collect();
        assert_eq!(*found[0].as_ref().unwrap(), (1, "a b".into(), "1".into()));
        for (found, part) in found[1..5].iter().zip([
            "line 3: there is no field `c`",
            "line 4",
            "line 5",
            "line 6: field `t`",
        ]) {
            let error = found.as_ref().unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
        assert_eq!(*found[5].as_ref().unwrap(), (7, "x".into(), "true".into()));
    }
}
