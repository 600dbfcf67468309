//! Tables of numbers with named columns: CSV, or tab-separated where the file is called `.tsv`.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use csv::{Position, StringRecord};
use fs_err as fs;

use crate::DataError;

/// Largest table that is read: a line may be as long as the file.
const MAX_BYTES: u64 = 1 << 32;

/// A table that is being read, row by row.
pub(crate) struct Table {
    path: PathBuf,
    names: Vec<String>,
    rows: csv::Reader<std::io::Take<fs::File>>,
}

impl Table {
    /// Opens a file and reads the names of its columns.
    ///
    /// # Errors
    /// [`DataError::Io`]; [`DataError::CorruptLine`] if the first line names a column twice or is no text.
    pub(crate) fn open(path: &Path) -> Result<Self, DataError> {
        let tabs = path
            .extension()
            .is_some_and(|e| e.eq_ignore_ascii_case("tsv"));
        let file = fs::File::open(path)?;
        let length = file.metadata()?.len();
        if length > MAX_BYTES {
            return Err(DataError::CorruptFile {
                path: path.into(),
                offset: MAX_BYTES,
                reason: format!("the file has {length} bytes, at most {MAX_BYTES} are read"),
            });
        }
        let mut rows = csv::ReaderBuilder::new()
            .delimiter(if tabs { b'\t' } else { b',' })
            .trim(csv::Trim::All)
            .from_reader(file.take(MAX_BYTES));
        let header = rows.headers().map_err(|error| refused(path, &error))?;
        let name = |name: &str| name.trim_start_matches('\u{feff}').to_owned();
        let names: Vec<String> = header.iter().map(name).collect();
        let table = Self {
            path: path.into(),
            names,
            rows,
        };
        let mut seen = std::collections::HashSet::new();
        if let Some(twice) = table.names.iter().find(|name| !seen.insert(name.as_str())) {
            return Err(table.corrupt(1, format!("there are two columns `{twice}`")));
        }
        Ok(table)
    }

    /// Names of the columns.
    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    /// Where a column is.
    ///
    /// # Errors
    /// [`DataError::CorruptLine`] with the columns that there are.
    pub(crate) fn place(&self, column: &str) -> Result<usize, DataError> {
        let found = self.names.iter().position(|name| name == column);
        found.ok_or_else(|| {
            let known = self.names.join(", ");
            self.corrupt(1, format!("no column `{column}`; there are: {known}"))
        })
    }

    /// The next row with its line, counted from 1, or nothing at the end.
    ///
    /// # Errors
    /// [`DataError::CorruptLine`] for a row with more or fewer fields than there are columns, or bytes that are no UTF-8.
    pub(crate) fn next_row(&mut self) -> Result<Option<(u64, StringRecord)>, DataError> {
        let mut row = StringRecord::new();
        match self.rows.read_record(&mut row) {
            Ok(true) => {
                let line = row.position().map_or(0, Position::line);
                Ok(Some((line, row)))
            }
            Ok(false) => Ok(None),
            Err(error) => Err(refused(&self.path, &error)),
        }
    }

    /// The number in a field of a row.
    ///
    /// # Errors
    /// [`DataError::CorruptLine`] if there is none, or it is not finite.
    pub(crate) fn number(
        &self,
        (line, row): &(u64, StringRecord),
        place: usize,
    ) -> Result<f32, DataError> {
        let field = row.get(place).unwrap_or("");
        let number = field.parse::<f32>().ok().filter(|value| value.is_finite());
        number.ok_or_else(|| {
            let name = self.names.get(place).map_or("", String::as_str);
            self.corrupt(
                *line,
                format!("column `{name}` is `{field}`, no finite number"),
            )
        })
    }

    /// An error of a line.
    pub(crate) fn corrupt(&self, line: u64, reason: String) -> DataError {
        DataError::CorruptLine {
            path: self.path.clone(),
            line,
            reason,
        }
    }
}

fn refused(path: &Path, error: &csv::Error) -> DataError {
    let place = error.position().map(Position::line);
    DataError::CorruptLine {
        path: path.into(),
        line: place.unwrap_or(1),
        reason: error.to_string(),
    }
}
