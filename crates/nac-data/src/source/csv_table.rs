//! The user's own table: a CSV file with named columns, one of which is the answer, the others numbers.
//!
//! Each column is an item of one feature, `(x − mean) / std` over the training rows; a model tells columns apart by
//! their positions. A fifth of the rows is for testing, by a fixed rule that no seed changes.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use nac_core::model::Column;

use super::{Entry, Origin, Request};
use crate::split::{self, Subset};
use crate::table::Table;
use crate::{
    Buffer, DataError, Dataset, DatasetInfo, Example, InputKind, InputSpec, OutputSpec,
    Preprocessing, Splits, Target, Values,
};

/// For the registry.
pub const ENTRY: Entry = Entry {
    name: "csv-table",
    title: "your own table: a CSV file of numbers with a column of the class or of a number to predict",
    licence: "your own",
    origin: Origin::Own,
    counts: None,
    describe: |request| Ok(open(request)?.train.info().clone()),
    open,
};

/// Name of the input.
const INPUT: &str = "features";
/// Most rows that are read.
const MAX_ROWS: usize = 1 << 24;
/// Most classes.
const MAX_CLASSES: usize = 1 << 16;
const TEST_SEED: u64 = 0;

/// Reads the table into memory.
///
/// # Errors
/// [`DataError::CorruptLine`] with the line of what is no number; [`DataError::Config`] for fewer than two rows or
/// classes.
pub fn open(request: &Request<'_>) -> Result<Splits, DataError> {
    let rows = Rows::read(request)?;
    let len = rows.targets.len();
    let known = Part::new(rows.info(&[]), Arc::new(rows), Vec::new());
    let (train, test) = split::held_out(Arc::new(known.clone()), (len / 5).max(1), TEST_SEED)?;
    let columns = known.rows.columns(train.indices());
    let info = known.rows.info(&columns);
    let part = |subset: &Subset| -> Result<Arc<dyn Dataset>, DataError> {
        let whole = Part::new(info.clone(), known.rows.clone(), columns.clone());
        let indices = subset.indices().to_vec();
        Ok(Arc::new(Subset::new(Arc::new(whole), indices)?))
    };
    Ok(Splits {
        train: part(&train)?,
        validation: None,
        test: part(&test)?,
    })
}

/// What the columns of a table are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Columns {
    /// Columns of numbers, apart from the answer.
    pub numbers: Vec<String>,
    /// Columns of anything else.
    pub others: Vec<String>,
    /// Whether the answer is a measured number: it has a fraction somewhere, or more than [`MAX_COUNTED`] values.
    pub label_is_measured: bool,
}

/// Values of an answer of whole numbers up to which it counts as one of several classes.
pub const MAX_COUNTED: usize = 100;

/// Looks at all rows of a table whose answer is in the column `label`.
///
/// # Errors
/// [`DataError::CorruptLine`] if there is no such column, or a row has not as many fields as there are columns.
pub fn survey(path: &Path, label: &str) -> Result<Columns, DataError> {
    let mut table = Table::open(path)?;
    let answer = table.place(label)?;
    let mut numeric = vec![true; table.names().len()];
    let (mut fraction, mut values) = (false, HashSet::new());
    while let Some(row) = table.next_row()? {
        for (place, numeric) in numeric.iter_mut().enumerate() {
            *numeric = *numeric && table.number(&row, place).is_ok();
        }
        let field = row.1.get(answer).unwrap_or("");
        fraction |= field.parse::<i64>().is_err();
        if values.len() <= MAX_COUNTED && !values.contains(field) {
            values.insert(field.to_owned());
        }
    }
    let named = |wanted: bool| {
        let columns = table.names().iter().zip(&numeric).enumerate();
        let chosen = columns.filter(|(place, (_, is))| *place != answer && **is == wanted);
        chosen.map(|(_, (name, _))| name.clone()).collect()
    };
    let answer_is_number = numeric.get(answer).is_some_and(|is| *is);
    Ok(Columns {
        numbers: named(true),
        others: named(false),
        label_is_measured: answer_is_number && (fraction || values.len() > MAX_COUNTED),
    })
}

/// The table as it is in the file.
struct Rows {
    names: Vec<String>,
    /// Row after row.
    values: Vec<f32>,
    targets: Vec<Target>,
    output: OutputSpec,
}

impl Rows {
    fn read(request: &Request<'_>) -> Result<Self, DataError> {
        let settings = &request.config.table;
        let mut table = Table::open(&request.own_path()?)?;
        let answer = table.place(&settings.label_column)?;
        let names: Vec<String> = if settings.columns.is_empty() {
            let others = table
                .names()
                .iter()
                .filter(|name| **name != settings.label_column);
            others.cloned().collect()
        } else {
            settings.columns.clone()
        };
        let refuse = |field: &str, reason: String| DataError::Config {
            field: format!("data.{field}"),
            reason,
        };
        if names.is_empty() || names.contains(&settings.label_column) {
            let reason = "name at least one column, and not that of the answer".into();
            return Err(refuse("table.columns", reason));
        }
        let places = names.iter().map(|name| table.place(name));
        let places = places.collect::<Result<Vec<usize>, _>>()?;
        let (mut values, mut numbers, mut labels) = (Vec::new(), Vec::new(), Vec::new());
        while let Some(row) = table.next_row()? {
            for &place in &places {
                values.push(table.number(&row, place)?);
            }
            if settings.regression {
                numbers.push(table.number(&row, answer)?);
            } else {
                match row.1.get(answer) {
                    Some(label) if !label.is_empty() => labels.push(label.to_owned()),
                    _ => return Err(table.corrupt(row.0, "the answer is empty".into())),
                }
            }
            if values.len() / names.len() > MAX_ROWS {
                return Err(table.corrupt(row.0, format!("more than {MAX_ROWS} rows")));
            }
        }
        let (targets, output) = if settings.regression {
            let targets = numbers
                .into_iter()
                .map(|number| Target::Values(vec![number]));
            (targets.collect(), OutputSpec::values(1))
        } else {
            classes(&labels)
        };
        if targets.len() < 2 {
            return Err(refuse(
                "path",
                format!("{} rows; at least 2 are needed", targets.len()),
            ));
        }
        match output.class_count() {
            Some(count) if !(2..=MAX_CLASSES).contains(&count) => {
                let column = &settings.label_column;
                let reason = format!(
                    "column `{column}` has {count} classes; it must be 2 to {MAX_CLASSES}, or a number to predict: \
                     data.table.regression"
                );
                Err(refuse("table.label_column", reason))
            }
            _ => Ok(Self {
                names,
                values,
                targets,
                output,
            }),
        }
    }

    fn row(&self, index: usize) -> &[f32] {
        let width = self.names.len();
        self.values.chunks_exact(width).nth(index).unwrap_or(&[])
    }

    /// Mean and deviation of each column over some rows; a column that does not vary has deviation 1.
    fn columns(&self, rows: &[usize]) -> Vec<Column> {
        let count = rows.len().max(1) as f64;
        let column = |(place, name): (usize, &String)| {
            let values = || rows.iter().filter_map(|&row| self.row(row).get(place));
            let mean = values().map(|&x| f64::from(x)).sum::<f64>() / count;
            let variance = values()
                .map(|&x| (f64::from(x) - mean).powi(2))
                .sum::<f64>()
                / count;
            let std = variance.sqrt() as f32;
            Column {
                name: name.clone(),
                mean: mean as f32,
                std: if std > 0.0 && std.is_finite() {
                    std
                } else {
                    1.0
                },
            }
        };
        self.names.iter().enumerate().map(column).collect()
    }

    fn info(&self, columns: &[Column]) -> DatasetInfo {
        let kind = InputKind::Features {
            items: self.names.len(),
            dim: 1,
            padded: false,
        };
        let how = Preprocessing::Columns {
            columns: columns.to_vec(),
        };
        DatasetInfo {
            name: ENTRY.name.into(),
            inputs: InputSpec::new(INPUT, kind),
            output: self.output.clone(),
            preprocessing: [(INPUT.to_owned(), how)].into(),
        }
    }
}

/// Classes in the order of their names; whole numbers in that of the numbers.
fn classes(labels: &[String]) -> (Vec<Target>, OutputSpec) {
    let mut names: Vec<&String> = labels.iter().collect();
    let number = |name: &String| name.parse::<i64>().ok();
    names.sort_by(|a, b| (number(a), a).cmp(&(number(b), b)));
    names.dedup();
    let places: std::collections::HashMap<&String, usize> = names
        .iter()
        .enumerate()
        .map(|(class, name)| (*name, class))
        .collect();
    let target = |label| Target::Class(places.get(label).copied().unwrap_or(0));
    let output = OutputSpec::named(names.iter().map(|name| name.as_str()));
    (labels.iter().map(target).collect(), output)
}

/// All rows, normalized.
#[derive(Clone)]
struct Part {
    info: DatasetInfo,
    rows: Arc<Rows>,
    columns: Vec<Column>,
}

impl Part {
    fn new(info: DatasetInfo, rows: Arc<Rows>, columns: Vec<Column>) -> Self {
        Self {
            info,
            rows,
            columns,
        }
    }
}

impl Dataset for Part {
    fn info(&self) -> &DatasetInfo {
        &self.info
    }

    fn len(&self) -> usize {
        self.rows.targets.len()
    }

    fn get(&self, index: usize) -> Result<Example, DataError> {
        self.check(index)?;
        let row = self.rows.row(index).iter().zip(&self.columns);
        let values: Vec<f32> = row
            .map(|(x, column)| (x - column.mean) / column.std)
            .collect();
        let features = Buffer::new(vec![self.columns.len(), 1], Values::F32(values))?;
        let target = self.rows.targets.get(index).cloned();
        Ok(Example::new(
            INPUT,
            features,
            target.unwrap_or(Target::Class(0)),
        ))
    }

    fn class(&self, index: usize) -> Option<usize> {
        self.rows.targets.get(index)?.class()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preprocess::read_file;
    use crate::{DataConfig, DataDirs};

    fn opened(text: &str, change: impl Fn(&mut DataConfig)) -> Result<Splits, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.csv");
        fs_err::write(&path, text).unwrap();
        let mut config = DataConfig {
            name: ENTRY.name.into(),
            path: Some(path),
            ..DataConfig::default()
        };
        change(&mut config);
        let dirs = DataDirs::new(None, None, "cache".into());
        crate::open(&config, &dirs, 0).map_err(|error| error.to_string())
    }

    /// Ten rows: column `x` counts, `y` is constant, the label is that of `x` modulo 2.
    fn text() -> String {
        let row = |i: usize| format!("{i},5,{}\n", ["odd", "even"][(i + 1) % 2]);
        format!("x,y,label\n{}", (0..10).map(row).collect::<String>())
    }

    #[test]
    fn rows_are_split_and_normalized_by_the_training_rows() {
        let splits = opened(&text(), |_| ()).unwrap();
        assert_eq!((splits.train.len(), splits.test.len()), (8, 2));
        let info = splits.train.info();
        assert_eq!(info.output, OutputSpec::named(["even", "odd"]));
        assert_eq!(info, splits.test.info());
        let mut sums = [0.0, 0.0];
        for index in 0..8 {
            let example = splits.train.get(index).unwrap();
            let Values::F32(values) = example.input("features").unwrap().values() else {
                panic!("no numbers")
            };
            assert_eq!(values[1], 0.0, "a constant column");
            sums[0] += values[0];
            sums[1] += values[0] * values[0];
        }
        assert!(
            sums[0].abs() < 1e-5 && (sums[1] - 8.0).abs() < 1e-4,
            "{sums:?}"
        );
        let classes: Vec<_> = (0..2).map(|i| splits.test.class(i)).collect();
        assert_eq!(classes, [Some(0), Some(1)]);
    }

    #[test]
    fn single_rows_become_what_the_examples_are() {
        let splits = opened(&text(), |c| c.table.columns = vec!["y".into(), "x".into()]).unwrap();
        let info = splits.train.info().clone();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new.csv");
        fs_err::write(&path, text()).unwrap();
        let kind = info.inputs.get(INPUT).unwrap();
        let rows = read_file(&path, INPUT, kind, &info.preprocessing[INPUT]).unwrap();
        for part in [&splits.train, &splits.test] {
            for index in 0..part.len() {
                let example = part.get(index).unwrap();
                assert!(rows.contains(example.input(INPUT).unwrap()));
            }
        }
    }

    #[test]
    fn numbers_can_be_predicted_and_whole_numbers_are_ordered() {
        let splits = opened(&text(), |c| {
            c.table.label_column = "x".into();
            c.table.regression = true;
            c.table.columns = vec!["y".into()];
        })
        .unwrap();
        assert_eq!(splits.train.info().output, OutputSpec::values(1));
        let text = "x,label\n1,10\n2,9\n3,10\n";
        let splits = opened(text, |_| ()).unwrap();
        assert_eq!(splits.train.info().output, OutputSpec::named(["9", "10"]));
    }

    #[test]
    fn surveys_tell_numbers_from_classes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.csv");
        fs_err::write(&path, "a,b,c,d\n1,x,0.5,1\n2,y,1,0\n").unwrap();
        let columns = survey(&path, "b").unwrap();
        assert_eq!(columns.numbers, ["a", "c", "d"]);
        assert!(columns.others.is_empty() && !columns.label_is_measured);
        let columns = survey(&path, "c").unwrap();
        assert_eq!((columns.numbers.len(), &*columns.others[0]), (2, "b"));
        assert!(columns.label_is_measured);
        assert!(!survey(&path, "d").unwrap().label_is_measured);
        assert!(survey(&path, "z").is_err());
        let many: String = (0..200).map(|i| format!("{i},{i}\n")).collect();
        fs_err::write(&path, format!("a,label\n{many}")).unwrap();
        assert!(survey(&path, "label").unwrap().label_is_measured);
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        for (text, part) in [
            ("x,label\n1,a\n", "1 rows"),
            ("x,label\n1,a\n2,a\n", "has 1 classes"),
            ("x,label\n1,a\nz,b\n", "line 3: column `x` is `z`"),
            ("x,label\n1,a\n2,\n", "line 3: the answer is empty"),
            (
                "x,class\n1,a\n2,b\n",
                "no column `label`; there are: x, class",
            ),
            ("label\na\nb\n", "data.table.columns"),
        ] {
            let error = opened(text, |_| ()).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
        let error = opened(&text(), |c| c.table.columns = vec!["label".into()]).unwrap_err();
        assert!(error.contains("data.table.columns"), "{error}");
    }
}
