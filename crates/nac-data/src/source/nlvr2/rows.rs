//! The examples of a part, from its file of JSON lines.

use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use fs_err as fs;
use serde::Deserialize;
use serde_json::Value;

use super::config::Nlvr2Part;
use crate::DataError;
use crate::source::json_rows;

/// Most examples of a file.
const MAX_ROWS: usize = 1 << 22;

#[derive(Deserialize)]
struct Line {
    sentence: String,
    label: String,
    identifier: String,
    /// A number, in the training file only.
    directory: Option<Value>,
}

/// A sentence about a pair of photographs.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    pub(super) part: Nlvr2Part,
    pub(super) sentence: String,
    /// 1 if the sentence is true of the pair.
    pub(super) class: usize,
    /// Set of eight photographs from which the pair is.
    pub(super) set: u32,
    pair: u32,
    directory: Option<u32>,
}

impl Row {
    /// Name of a photograph, left or right, without the ending of its file.
    pub(super) fn photograph(&self, is_right: bool) -> String {
        let (part, set, pair) = (self.part.name(), self.set, self.pair);
        format!("{part}-{set}-{pair}-img{}", u8::from(is_right))
    }

    /// Where the file of a photograph may be: in the folder of the part, and in its folder of a directory.
    pub(super) fn files(&self, root: &Path, is_right: bool) -> Vec<PathBuf> {
        let file = format!("{}.png", self.photograph(is_right));
        let part = self.part.name();
        let folders = [root.join("images").join(part), root.join(part)];
        let inner = self.directory.map(|directory| directory.to_string());
        let nested = inner
            .iter()
            .flat_map(|inner| folders.iter().map(move |folder| folder.join(inner)));
        let all = nested.chain(folders.iter().cloned());
        all.map(|folder| folder.join(&file)).collect()
    }
}

/// Reads `<root>/<part>.json`.
///
/// # Errors
/// [`DataError::CorruptLine`] with the line of what is no example, or occurs twice.
pub(super) fn read(root: &Path, part: Nlvr2Part) -> Result<Vec<Row>, DataError> {
    let path = root.join(format!("{}.json", part.name()));
    parse(&path, BufReader::new(fs::File::open(&path)?), part)
}

/// Reads the lines of a file; `path` is for errors.
///
/// # Errors
/// As [`read`].
pub(super) fn parse(
    path: &Path,
    file: impl BufRead,
    part: Nlvr2Part,
) -> Result<Vec<Row>, DataError> {
    let (mut rows, mut seen) = (Vec::new(), HashSet::new());
    json_rows::for_each(path, file, |text| {
        let (row, sentence) = row(text, part)?;
        let (set, pair) = (row.set, row.pair);
        if !seen.insert((set, pair, sentence)) {
            return Err(format!(
                "sentence {sentence} of pair {set}-{pair} occurs twice"
            ));
        }
        rows.push(row);
        if rows.len() > MAX_ROWS {
            return Err(format!("more than {MAX_ROWS} examples"));
        }
        Ok(())
    })?;
    if rows.is_empty() {
        return Err(DataError::CorruptFile {
            path: path.into(),
            offset: 0,
            reason: "there is no example".into(),
        });
    }
    Ok(rows)
}

/// An example and the number of its sentence.
fn row(text: &[u8], part: Nlvr2Part) -> Result<(Row, u32), String> {
    let line: Line = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    let class = match line.label.to_ascii_lowercase().as_str() {
        "false" => 0,
        "true" => 1,
        _ => return Err("the label is neither `True` nor `False`".into()),
    };
    let numbers = line.identifier.strip_prefix(part.name());
    let numbers: Option<Vec<u32>> = numbers
        .and_then(|rest| rest.strip_prefix('-'))
        .and_then(|rest| rest.split('-').map(|n| n.parse().ok()).collect());
    let Some(&[set, pair, sentence]) = numbers.as_deref() else {
        let part = part.name();
        return Err(format!("the identifier is not `{part}-set-pair-sentence`"));
    };
    let directory = match line.directory {
        None => None,
        Some(value) => {
            let number = match &value {
                Value::String(text) => text.parse().ok(),
                other => other.as_u64().and_then(|number| number.try_into().ok()),
            };
            Some(number.ok_or("the directory is no number")?)
        }
    };
    if line.sentence.trim().is_empty() {
        return Err("the sentence is empty".into());
    }
    let row = Row {
        part,
        sentence: line.sentence,
        class,
        set,
        pair,
        directory,
    };
    Ok((row, sentence))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LINE: &str = r#"{"sentence": "Two dogs.", "label": "True", "identifier": "train-12-3-1", "directory": 7, "left_url": "x", "validation": {"1": "True"}}"#;

    fn written(bytes: &[u8]) -> Result<Vec<Row>, String> {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("train.json"), bytes).unwrap();
        read(dir.path(), Nlvr2Part::Train).map_err(|error| error.to_string())
    }

    #[test]
    fn examples_know_their_photographs() {
        let text = format!("\u{feff}{LINE}\r\n\n{}", LINE.replace("3-1", "3-0"));
        let rows = written(text.as_bytes()).unwrap();
        assert_eq!((rows.len(), rows[0].class, rows[0].set), (2, 1, 12));
        assert_eq!(rows[0].photograph(true), "train-12-3-img1");
        let files = rows[0].files(Path::new("r"), false);
        assert_eq!(files[0], Path::new("r/images/train/7/train-12-3-img0.png"));
        assert_eq!(files[3], Path::new("r/train/train-12-3-img0.png"));
    }

    #[test]
    fn damaged_lines_are_named() {
        for (from, to, part) in [
            ("\"True\", \"id", "\"yes\", \"id", "label"),
            ("train-12", "dev-12", "identifier"),
            ("12-3", "../3", "identifier"),
            ("12-3-1", "12-3", "identifier"),
            (": 7", ": \"..\"", "directory"),
            (": 7", ": -1", "directory"),
            ("Two dogs.", "", "sentence"),
            ("12-3-1", "12-3-0", "occurs twice"),
        ] {
            let text = format!("{}\n{}", LINE.replace("3-1", "3-0"), LINE.replace(from, to));
            let error = written(text.as_bytes()).unwrap_err();
            assert!(error.contains("line 2") && error.contains(part), "{error}");
        }
        assert!(written(b"\n").unwrap_err().contains("no example"));
        assert!(written(&[0; 9]).unwrap_err().contains("line 1"));
    }

    proptest! {
        #[test]
        fn mutated_lines_are_read_or_refused(at in 0..LINE.len(), byte: u8, cut in 0..LINE.len()) {
            let mut bytes = LINE.as_bytes().to_vec();
            bytes[at] = byte;
            let _ = written(&bytes);
            bytes.truncate(cut);
            prop_assert!(written(&bytes).is_err());
        }
    }
}
