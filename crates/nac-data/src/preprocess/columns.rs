//! Columns of a table as feature vectors.

use std::path::Path;

use nac_core::model::Column;

use crate::table::Table;
use crate::{Buffer, DataError, Values};

/// One example for each row of a table with named columns: `f32 [columns, 1]`, each `(x − mean) / std`.
pub(super) fn read(path: &Path, columns: &[Column]) -> Result<Vec<Buffer>, DataError> {
    let mut table = Table::open(path)?;
    let places = columns
        .iter()
        .map(|column| table.place(&column.name))
        .collect::<Result<Vec<usize>, _>>()?;
    let mut examples = Vec::new();
    while let Some(row) = table.next_row()? {
        let mut values = Vec::with_capacity(columns.len());
        for (column, &place) in columns.iter().zip(&places) {
            values.push((table.number(&row, place)? - column.mean) / column.std);
        }
        examples.push(Buffer::new(vec![columns.len(), 1], Values::F32(values))?);
    }
    if examples.is_empty() {
        return Err(table.corrupt(1, "there are no rows".into()));
    }
    Ok(examples)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, mean: f32, std: f32) -> Column {
        Column {
            name: name.into(),
            mean,
            std,
        }
    }

    fn rows(text: &str) -> Result<Vec<Buffer>, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.csv");
        std::fs::write(&path, text).unwrap();
        let columns = [column("b", 0.0, 1.0), column("a", 1.0, 0.5)];
        read(&path, &columns).map_err(|error| error.to_string())
    }

    #[test]
    fn rows_become_examples_in_the_order_of_the_columns() {
        let found = rows("\u{feff}a,class,b\n1.5,x,-2\n 0 ,\"y,z\",3e1\n").unwrap();
        let values: Vec<_> = found.iter().map(Buffer::values).collect();
        let expected = [Values::F32(vec![-2.0, 1.0]), Values::F32(vec![30.0, -2.0])];
        assert_eq!(values, [&expected[0], &expected[1]]);
        assert_eq!(found[0].shape(), [2, 1]);
    }

    #[test]
    fn tabs_separate_the_columns_of_tsv_files() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.tsv");
        std::fs::write(&path, "a\tb\n1\t2\n").unwrap();
        let found = read(&path, &[column("b", 0.0, 1.0)]).unwrap();
        assert_eq!(*found[0].values(), Values::F32(vec![2.0]));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        for (text, part) in [
            ("a,c\n1,2\n", "line 1: no column `b`; there are: a, c"),
            ("a,b\n1,2\n3,x\n", "line 3: column `b` is `x`"),
            ("a,b\n1,inf\n", "line 2: column `b` is `inf`"),
            ("a,b\n1,2\n3\n", "line 3"),
            ("a,b\n", "no rows"),
            ("a,b,a\n1,2,3\n", "two columns `a`"),
            ("", "no column"),
        ] {
            let error = rows(text).unwrap_err();
            assert!(error.contains(part), "{text:?}: {error}");
        }
        assert!(rows("a,b\n\x01\u{fffd},1\n").is_err());
    }
}
