//! What is asked: files and texts for the inputs of a model.

use nac_data::Buffer;

use super::options::{NamedInput, Options};
use super::report::Subject;
use crate::error::{PredictError, Result};
use crate::predictor::{Given, Predictor};

impl NamedInput {
    /// The file or the text that the value stands for.
    fn given(&self, predictor: &Predictor) -> Given {
        match self.value.strip_prefix('@') {
            Some(path) => Given::File(path.into()),
            None if predictor.takes_text(&self.name) => Given::Text(self.value.clone()),
            None => Given::File((&self.value).into()),
        }
    }
}

/// An example that was read, and what it is called.
pub(super) type Example = (Subject, Vec<(String, Buffer)>);

/// All inputs of one example, or of the rows of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Query(Vec<(String, Given)>);

impl Query {
    /// What it is called in answers.
    pub(super) fn label(&self) -> String {
        let value = |given: &Given| match given {
            Given::File(path) => path.display().to_string(),
            Given::Text(text) => text.clone(),
        };
        match self.0.as_slice() {
            [(_, given)] => value(given),
            several => several
                .iter()
                .map(|(name, given)| format!("{name}={}", value(given)))
                .collect::<Vec<_>>()
                .join(" "),
        }
    }

    /// Its examples, with what each is called.
    ///
    /// # Errors
    /// A file cannot be read; tables have different numbers of rows.
    pub(super) fn read(&self, predictor: &Predictor) -> Result<Vec<Example>> {
        let columns = self
            .0
            .iter()
            .map(|(name, given)| Ok((name, predictor.read(name, given)?)))
            .collect::<Result<Vec<_>>>()?;
        let rows = columns
            .iter()
            .map(|(_, column)| column.len())
            .max()
            .unwrap_or(0);
        let example = |row: usize| {
            let inputs = columns.iter().map(|(name, column)| {
                let buffer = if column.len() == 1 {
                    column.first()
                } else {
                    column.get(row)
                };
                let buffer = buffer.ok_or_else(|| PredictError::Inputs {
                    reason: format!("`{name}` has {} rows, another input {rows}", column.len()),
                    names: predictor.input_names().map(String::from).collect(),
                })?;
                Ok(((*name).clone(), buffer.clone()))
            });
            let subject = Subject {
                input: self.label(),
                row: (rows > 1).then_some(row + 1),
            };
            Ok((subject, inputs.collect::<Result<Vec<_>>>()?))
        };
        (0..rows).map(example).collect()
    }
}

/// What the command line asks.
///
/// # Errors
/// [`PredictError::Inputs`]: nothing is asked, or the inputs are not those of the model.
pub(super) fn queries(predictor: &Predictor, options: &Options) -> Result<Vec<Query>> {
    let names: Vec<&str> = predictor.input_names().collect();
    let refuse = |reason: String| PredictError::Inputs {
        reason,
        names: names.iter().map(ToString::to_string).collect(),
    };
    if options.input.is_empty() {
        return match (names.as_slice(), options.files.as_slice()) {
            (_, []) => Err(refuse("give files, or --input NAME=VALUE".into())),
            ([name], files) => {
                let query = |file| Query(vec![((*name).to_owned(), Given::File(file))]);
                Ok(files.iter().cloned().map(query).collect())
            }
            _ => Err(refuse("give each input with --input NAME=VALUE".into())),
        };
    }
    if let Some(other) = options.input.iter().find(|i| !names.contains(&&*i.name)) {
        return Err(refuse(format!("there is no input `{}`", other.name)));
    }
    let mut columns = Vec::new();
    for name in &names {
        let given = options.input.iter().filter(|input| input.name == *name);
        let given: Vec<Given> = given.map(|input| input.given(predictor)).collect();
        if given.is_empty() {
            return Err(refuse(format!("`{name}` is not given")));
        }
        columns.push((*name, given));
    }
    let count = columns
        .iter()
        .map(|(_, given)| given.len())
        .max()
        .unwrap_or(0);
    if let Some((name, given)) = (columns.iter()).find(|(_, g)| g.len() != 1 && g.len() != count) {
        let reason = format!(
            "`{name}` is given {} times, another input {count} times",
            given.len()
        );
        return Err(refuse(reason));
    }
    let query = |row: usize| {
        let input = |(name, given): &(&str, Vec<Given>)| {
            Some((
                (*name).to_owned(),
                given.get(row).or(given.first())?.clone(),
            ))
        };
        Query(columns.iter().filter_map(input).collect())
    };
    Ok((0..count).map(query).collect())
}
