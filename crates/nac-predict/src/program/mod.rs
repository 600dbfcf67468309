//! The command line that `nac-predict` and `nac predict` share.

mod options;
mod query;
mod report;

use nac_data::output;
use std::process::ExitCode;

use anyhow::Result;

use crate::predictor::Predictor;
use query::Query;

pub use options::{Options, threads};

/// Examples that are read and wait for their batch.
type Waiting = Vec<query::Example>;

/// Prints the answers for everything that is asked, in its order. What cannot be read is named on standard error, and
/// the others are answered.
///
/// # Errors
/// Nothing is asked, the inputs are not those of the model, or the engine fails.
pub fn run(predictor: &Predictor, options: &Options) -> Result<ExitCode> {
    let queries = query::queries(predictor, options)?;
    let mut waiting = Waiting::new();
    let mut failed = 0;
    for query in &queries {
        match query.read(predictor) {
            Ok(examples) => {
                for example in examples {
                    waiting.push(example);
                    if waiting.len() == usize::from(options.batch) {
                        answer(predictor, options, &mut waiting)?;
                    }
                }
            }
            Err(error) => {
                answer(predictor, options, &mut waiting)?;
                failed += 1;
                refuse(query, &error, options)?;
            }
        }
    }
    answer(predictor, options, &mut waiting)?;
    if failed > 0 {
        output::note(format_args!(
            "error: {failed} of {} could not be read",
            queries.len()
        ));
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

/// Answers what waits.
fn answer(predictor: &Predictor, options: &Options, waiting: &mut Waiting) -> Result<()> {
    let (subjects, examples): (Vec<_>, Vec<_>) = waiting.drain(..).unzip();
    let answers = predictor.predict(examples)?;
    let mut text = String::new();
    for (subject, answer) in subjects.iter().zip(&answers) {
        let line = if options.json {
            report::json(subject, answer, options.top)?
        } else {
            report::line(subject, answer, options.top)
        };
        text.push_str(&line);
        text.push('\n');
    }
    Ok(output::print(text)?)
}

/// Says what could not be read.
fn refuse(query: &Query, error: &crate::PredictError, options: &Options) -> Result<()> {
    let text = error.to_string();
    let label = query.label();
    if options.json {
        output::print(format_args!("{}\n", report::json_error(&label, &text)?))?;
    }
    let named = text.contains(&label);
    let prefix = if named {
        String::new()
    } else {
        format!("{label}: ")
    };
    output::note(format_args!("error: {prefix}{text}"));
    Ok(())
}
