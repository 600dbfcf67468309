//! What can go wrong with a file of weights.

use std::path::PathBuf;

use nac_modules::ModuleError;

use super::pickle::PickleError;
use nac_train::TrainError;

/// Error of every fallible function of [`weights`](super).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WeightsError {
    /// A file cannot be read as weights.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The pickle of a PyTorch file cannot be read, or asks for more than tensors and plain containers.
    #[error("{}: data.pkl, {cause}", path.display())]
    Pickle {
        /// The file.
        path: PathBuf,
        /// Where and why; part of the text, so not a `source`.
        cause: PickleError,
    },
    /// It is not clear which tensors of the file are meant.
    #[error("{}: {}", path.display(), describe_keys(key.as_deref(), available))]
    Key {
        /// The file.
        path: PathBuf,
        /// Key asked for, if any.
        key: Option<String>,
        /// Keys that lead to named tensors.
        available: Vec<String>,
    },
    /// Settings that the reference has no option for.
    #[error(
        "{}: the reference's settings cannot express {}",
        path.display(), settings.join(", ")
    )]
    NotExpressible {
        /// Where the settings come from.
        path: PathBuf,
        /// The settings, as `name (ours → what the reference would make of it)`.
        settings: Vec<String>,
    },
    /// From the layers: weights that do not fit a model among others.
    #[error(transparent)]
    Module(#[from] ModuleError),
    /// From settings and files.
    #[error(transparent)]
    Train(#[from] TrainError),
}

/// Result with [`WeightsError`].
pub type Result<T> = std::result::Result<T, WeightsError>;

fn describe_keys(key: Option<&str>, available: &[String]) -> String {
    let asked = match key {
        Some(key) => format!("there are no named tensors under the key `{key}`"),
        None => "it is not clear which tensors are meant; choose with --key".into(),
    };
    format!("{asked}; available: {}", available.join(", "))
}
