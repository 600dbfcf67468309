//! The user's own texts in a table: CSV, TSV (`.tsv`) or JSON lines (`.jsonl`, `.ndjson`, `.json`) with a column of the text
//! and one of the class.
//!
//! Classes are the different values of the class column, in the order of their names. `data.path` may be a file, of which
//! a fifth of each class becomes the test part, by a fixed rule that no seed changes; or a folder with files called
//! `train`, `test` and perhaps `val`, all of one of these formats.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::corpus::Corpus;
use super::json_lines::{JsonLines, Line};
use super::read;
use super::texts::{self, Parts};
use crate::source::{Entry, Origin, Request};
use crate::table::Table;
use crate::{DataError, Splits, TextSettings};

/// For the registry.
pub const ENTRY: Entry = Entry {
    name: "text-csv",
    title: "your own texts: a table (CSV, TSV, JSON lines) with a column of texts and one of classes",
    licence: "your own",
    origin: Origin::Own,
    counts: None,
    describe: |request| Ok(open(request)?.train.info().clone()),
    open,
};

/// Formats, by the end of the file's name.
pub const EXTENSIONS: [&str; 5] = ["csv", "tsv", "jsonl", "ndjson", "json"];
/// Most classes.
const MAX_CLASSES: usize = 1 << 16;
const VALIDATION: [&str; 3] = ["val", "valid", "validation"];

/// A text and its class by name.
type Row = (Vec<u8>, String);

/// Reads the tables into memory.
///
/// # Errors
/// [`DataError::CorruptLine`] with the line of a row that has not the two columns, an empty text or class, or is not
/// UTF-8; rows are left out instead if `data.skip_unreadable` is set.
pub fn open(request: &Request<'_>) -> Result<Splits, DataError> {
    let settings = &request.config.text;
    read::check(settings)?;
    let path = request.own_path()?;
    let (train, validation, test) = parts(&path)?;
    let train = rows("training", &train, request)?;
    let optional =
        |part: &str, path: Option<PathBuf>| path.map(|path| rows(part, &path, request)).transpose();
    let (validation, test) = (optional("validation", validation)?, optional("test", test)?);
    let names: BTreeSet<&String> = train.iter().map(|(_, class)| class).collect();
    if names.len() < 2 || names.len() > MAX_CLASSES {
        let reason = format!(
            "column `{}` has {} different values; 2 to {MAX_CLASSES} make classes",
            settings.label_column,
            names.len()
        );
        return Err(DataError::Config {
            field: "data.text.label_column".into(),
            reason,
        });
    }
    let classes: Vec<String> = names.into_iter().cloned().collect();
    let corpus = |rows: &[Row]| corpus(rows, &classes, &path);
    let parts = Parts {
        train: corpus(&train)?,
        validation: validation.map(|rows| corpus(&rows)).transpose()?,
        test: test.map(|rows| corpus(&rows)).transpose()?,
    };
    texts::splits(ENTRY.name, &classes, settings, parts)
}

/// Files of training, validation and testing.
type Files = (PathBuf, Option<PathBuf>, Option<PathBuf>);

fn parts(path: &Path) -> Result<Files, DataError> {
    if !path.is_dir() {
        return Ok((path.to_owned(), None, None));
    }
    let find = |stems: &[&str]| {
        let names = stems.iter().flat_map(|stem| {
            EXTENSIONS
                .iter()
                .map(move |extension| format!("{stem}.{extension}"))
        });
        names
            .map(|name| path.join(name))
            .find(|path| path.is_file())
    };
    let Some(train) = find(&["train"]) else {
        return Err(DataError::Config {
            field: "data.path".into(),
            reason: format!(
                "{} has no file train.{{{}}}",
                path.display(),
                EXTENSIONS.join(",")
            ),
        });
    };
    Ok((train, find(&VALIDATION), find(&["test"])))
}

fn corpus(rows: &[Row], classes: &[String], path: &Path) -> Result<Corpus, DataError> {
    let mut corpus = Corpus::default();
    for (text, name) in rows {
        let class = classes.binary_search(name).map_err(|_| DataError::Config {
            field: "data.path".into(),
            reason: format!("{}: class `{name}` has no training text", path.display()),
        })?;
        corpus.push(text, class as u32);
    }
    Ok(corpus)
}

/// The rows of a file, in their order.
fn rows(part: &str, path: &Path, request: &Request<'_>) -> Result<Vec<Row>, DataError> {
    let settings = &request.config.text;
    let extension = path
        .extension()
        .unwrap_or_default()
        .to_string_lossy()
        .to_lowercase();
    let reader: Box<dyn Iterator<Item = Result<Line, DataError>>> = match extension.as_str() {
        "jsonl" | "ndjson" | "json" => Box::new(JsonLines::open(
            path,
            [&settings.text_column, &settings.label_column],
        )?),
        _ => Box::new(TableLines::open(path, settings)?),
    };
    let (mut rows, mut refused, mut total) = (Vec::new(), Vec::new(), 0);
    let skips = request.config.skip_unreadable;
    for line in reader {
        total += 1;
        match line.and_then(|line| row(path, line, settings)) {
            Ok(row) => rows.push(row),
            Err(error) if skips && !matches!(error, DataError::Io(_)) => {
                refused.push(error.to_string())
            }
            Err(error) => return Err(error),
        }
    }
    read::left_out(part, &refused, total, request);
    if rows.is_empty() {
        return Err(DataError::Config {
            field: "data.path".into(),
            reason: format!("{} has no text", path.display()),
        });
    }
    Ok(rows)
}

fn row(path: &Path, (line, text, class): Line, settings: &TextSettings) -> Result<Row, DataError> {
    let refused = |reason: String| DataError::CorruptLine {
        path: path.into(),
        line,
        reason,
    };
    if class.is_empty() {
        return Err(refused(format!(
            "column `{}` is empty",
            settings.label_column
        )));
    }
    match read::usable(text.as_bytes(), settings) {
        Ok(text) => Ok((text.to_vec(), class)),
        Err((_, reason)) => Err(refused(reason)),
    }
}

/// The rows of a CSV or TSV file.
struct TableLines {
    table: Table,
    columns: [usize; 2],
}

impl TableLines {
    fn open(path: &Path, settings: &TextSettings) -> Result<Self, DataError> {
        let table = Table::open(path)?;
        let columns = [
            table.place(&settings.text_column)?,
            table.place(&settings.label_column)?,
        ];
        Ok(Self { table, columns })
    }
}

impl Iterator for TableLines {
    type Item = Result<Line, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.table.next_row() {
            Ok(None) => None,
            Ok(Some((line, row))) => {
                let field = |place: usize| row.get(place).unwrap_or_default().to_owned();
                let [text, label] = self.columns.map(field);
                Some(Ok((line, text, label)))
            }
            Err(error) => Some(Err(error)),
        }
    }
}
