//! The statements of a part, from its file of JSON lines.

use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use fs_err as fs;
use serde::Deserialize;

use super::config::{NlvrInput, NlvrPart};
use super::objects::{self, Object};
use crate::DataError;
use crate::source::json_rows;

/// Most statements of a file.
const MAX_ROWS: usize = 1 << 20;

/// A line of the file.
#[derive(Deserialize)]
struct Line {
    sentence: String,
    label: String,
    identifier: String,
    directory: String,
    structured_rep: Option<Vec<Vec<Object>>>,
}

/// A statement with its label and where its drawings are.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    pub(super) part: NlvrPart,
    pub(super) sentence: String,
    /// 1 if the statement is true.
    pub(super) class: usize,
    /// The first number of the identifier: statements that were written for the same four drawings share it.
    pub(super) presentation: u32,
    /// The second: the place of its drawing among the four. It gives the label away.
    position: u32,
    /// The folder of its drawings.
    pub(super) directory: u32,
    /// Feature vectors, if they are wanted.
    pub(super) objects: Vec<f32>,
}

impl Row {
    /// The file of a drawing, 0 to 5.
    pub(super) fn drawing(&self, root: &Path, drawing: usize) -> PathBuf {
        let part = self.part.name();
        let (n, m) = (self.presentation, self.position);
        root.join(part)
            .join("images")
            .join(self.directory.to_string())
            .join(format!("{part}-{n}-{m}-{drawing}.png"))
    }
}

/// Reads `<root>/<part>/<part>.json`.
///
/// # Errors
/// [`DataError::CorruptLine`] with the line of what is no statement, or occurs twice.
pub(super) fn read(root: &Path, part: NlvrPart, input: NlvrInput) -> Result<Vec<Row>, DataError> {
    let path = root.join(part.name()).join(format!("{}.json", part.name()));
    parse(&path, BufReader::new(fs::File::open(&path)?), part, input)
}

/// Reads the lines of a file; `path` is for errors.
///
/// # Errors
/// As [`read`].
pub(super) fn parse(
    path: &Path,
    file: impl BufRead,
    part: NlvrPart,
    input: NlvrInput,
) -> Result<Vec<Row>, DataError> {
    let (mut rows, mut seen) = (Vec::new(), HashSet::new());
    json_rows::for_each(path, file, |text| {
        let row = row(text, part, input)?;
        let (n, m) = (row.presentation, row.position);
        if !seen.insert((n, m)) {
            return Err(format!("identifier {n}-{m} occurs twice"));
        }
        rows.push(row);
        if rows.len() > MAX_ROWS {
            return Err(format!("more than {MAX_ROWS} statements"));
        }
        Ok(())
    })?;
    if rows.is_empty() {
        return Err(DataError::CorruptFile {
            path: path.into(),
            offset: 0,
            reason: "there is no statement".into(),
        });
    }
    Ok(rows)
}

fn row(text: &[u8], part: NlvrPart, input: NlvrInput) -> Result<Row, String> {
    let line: Line = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    let class = match line.label.to_ascii_lowercase().as_str() {
        "false" => 0,
        "true" => 1,
        _ => return Err("the label is neither `true` nor `false`".into()),
    };
    let numbers = line.identifier.split_once('-');
    let numbers = numbers.and_then(|(n, m)| Some((n.parse().ok()?, m.parse().ok()?)));
    let Some((presentation, position)) = numbers else {
        return Err("the identifier is not `number-number`".into());
    };
    let directory = line.directory.parse();
    let directory = directory.map_err(|_| "the directory is no number".to_owned())?;
    if line.sentence.trim().is_empty() {
        return Err("the sentence is empty".into());
    }
    let objects = match (input, &line.structured_rep) {
        (NlvrInput::Image, _) => Vec::new(),
        (NlvrInput::Objects, Some(boxes)) => objects::vectors(boxes)?,
        (NlvrInput::Objects, None) => {
            return Err("there is no `structured_rep`, which `input = \"objects\"` needs".into());
        }
    };
    Ok(Row {
        part,
        sentence: line.sentence,
        class,
        presentation,
        position,
        directory,
        objects,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LINE: &str = r#"{"sentence": "There is é", "label": "true", "identifier": "7-3", "directory": "44", "evals": {"r0": "true"}, "structured_rep": [[{"x_loc": 1, "y_loc": 2, "size": 10, "type": "circle", "color": "Yellow"}], [], []]}"#;

    fn written(bytes: &[u8], input: NlvrInput) -> Result<Vec<Row>, String> {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("dev")).unwrap();
        fs::write(dir.path().join("dev/dev.json"), bytes).unwrap();
        read(dir.path(), NlvrPart::Dev, input).map_err(|error| error.to_string())
    }

    #[test]
    fn statements_are_read_with_the_place_of_their_drawings() {
        let text = format!("\u{feff}{LINE}\n\n{}", LINE.replace("7-3", "7-0"));
        let rows = written(text.as_bytes(), NlvrInput::Objects).unwrap();
        assert_eq!((rows.len(), rows[0].class), (2, 1));
        assert_eq!(rows[0].sentence, "There is é");
        assert_eq!(rows[0].objects.len(), objects::OBJECT_DIM);
        let file = rows[0].drawing(Path::new("root"), 5);
        assert_eq!(file, Path::new("root/dev/images/44/dev-7-3-5.png"));
        assert!(
            written(text.as_bytes(), NlvrInput::Image).unwrap()[0]
                .objects
                .is_empty()
        );
    }

    #[test]
    fn damaged_lines_are_named() {
        let error = |bytes: &[u8]| written(bytes, NlvrInput::Objects).unwrap_err();
        for (from, to, part) in [
            ("\"true\", \"id", "\"maybe\", \"id", "label"),
            ("7-3", "../3", "identifier"),
            ("7-3", "7", "identifier"),
            ("\"44\"", "\"../..\"", "directory"),
            ("There is é", " ", "sentence"),
            ("structured_rep", "other", "`structured_rep`"),
            ("circle", "star", "shape"),
            ("\"label\"", "\"class\"", "missing field `label`"),
            ("7-3", "7-0", "occurs twice"),
        ] {
            let text = format!("{}\n{}", LINE.replace("7-3", "7-0"), LINE.replace(from, to));
            let error = error(text.as_bytes());
            assert!(
                error.contains("dev.json: line 2") && error.contains(part),
                "{error}"
            );
        }
        assert!(error(b"").contains("no statement"));
        assert!(error(&[0; 100]).contains("line 1"));
        assert!(error(&LINE.as_bytes()[..LINE.len() - 2]).contains("line 1"));
        let latin: Vec<u8> = LINE.chars().map(|c| c as u8).collect();
        assert!(error(&latin).contains("line 1"));
        assert!(error(&vec![b' '; 2 << 20]).contains("longer than"));
    }

    proptest! {
        #[test]
        fn mutated_lines_are_read_or_refused(at in 0..LINE.len(), byte: u8, cut in 0..LINE.len()) {
            let mut bytes = LINE.as_bytes().to_vec();
            bytes[at] = byte;
            let _ = written(&bytes, NlvrInput::Objects);
            bytes.truncate(cut);
            prop_assert!(written(&bytes, NlvrInput::Objects).is_err());
        }
    }
}
