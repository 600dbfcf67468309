//! [`Options`]: the arguments of a prediction.

use std::path::PathBuf;
use std::str::FromStr;

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
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = threads)]
    pub threads: usize,
    /// Examples that are computed at once; answers do not depend on it
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..))]
    pub batch: u16,
}

/// Most threads; more of them only take memory.
const MOST_THREADS: usize = 1024;

/// Reads a number of threads of the command line.
///
/// # Errors
/// It is no number, or out of range.
pub fn threads(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(threads) if threads <= MOST_THREADS => Ok(threads),
        _ => Err(format!("must be a number of at most {MOST_THREADS}")),
    }
}

/// `NAME=VALUE` of the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedInput {
    pub(super) name: String,
    pub(super) value: String,
}

impl FromStr for NamedInput {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((name, value)) if !name.is_empty() && !value.is_empty() => Ok(Self {
                name: name.into(),
                value: value.into(),
            }),
            _ => Err("expected NAME=VALUE, such as left=a.png".into()),
        }
    }
}
