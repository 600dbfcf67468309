//! The command line that `nac-predict` and `nac predict` share.

mod query;
mod report;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use nac_data::Buffer;

use crate::predictor::Predictor;
use query::{NamedInput, Query};

/// Which files, and how answers are shown.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Files for a model of one input; of a table, each row is an example
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// What to give for an input: a file, or for an input that is a text @FILE or the text itself. Repeat it for models
    /// of several inputs; one input may be given several times, for several examples that share the others
    #[arg(long, value_name = "NAME=VALUE", conflicts_with = "files")]
    pub input: Vec<NamedInput>,
    /// Print a JSON object for each example, a line each
    #[arg(long)]
    pub json: bool,
    /// Classes to show, the most likely first
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..))]
    pub top: u16,
    /// Threads; 0: as many as the machine has
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub threads: usize,
    /// Examples that are computed at once; answers do not depend on it
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..))]
    pub batch: u16,
}

/// Examples that are read and wait for their batch.
type Waiting = Vec<(report::Subject, Vec<(String, Buffer)>)>;

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
        eprintln!("error: {failed} of {} could not be read", queries.len());
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

/// Answers what waits.
fn answer(predictor: &Predictor, options: &Options, waiting: &mut Waiting) -> Result<()> {
    let (subjects, examples): (Vec<_>, Vec<_>) = waiting.drain(..).unzip();
    let answers = predictor.predict(examples)?;
    let mut out = std::io::stdout().lock();
    for (subject, answer) in subjects.iter().zip(&answers) {
        let line = if options.json {
            report::json(subject, answer, options.top)?
        } else {
            report::line(subject, answer, options.top)
        };
        writeln!(out, "{line}")?;
    }
    Ok(out.flush()?)
}

/// Says what could not be read.
fn refuse(query: &Query, error: &crate::PredictError, options: &Options) -> Result<()> {
    let text = error.to_string();
    let label = query.label();
    if options.json {
        println!("{}", report::json_error(&label, &text)?);
    }
    let named = text.contains(&label);
    let prefix = if named {
        String::new()
    } else {
        format!("{label}: ")
    };
    eprintln!("error: {prefix}{text}");
    Ok(())
}
