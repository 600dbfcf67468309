//! What can go wrong when a trained model is loaded or run.

use std::path::PathBuf;

use nac_core::CoreError;
use nac_core::model::ConfigError;

/// A failure of the engine, with the name and both shapes, or the file.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// A file of weights cannot be read.
    #[error("cannot read weights from {}: {reason}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The model needs a tensor that the weights do not hold.
    #[error("the weights have no `{name}`, which must be {expected:?}")]
    MissingWeight {
        /// Full name.
        name: String,
        /// Expected shape.
        expected: Vec<usize>,
    },
    /// A tensor has an unexpected shape.
    #[error("weight `{name}` is {found:?}, but the settings ask for {expected:?}")]
    WeightShape {
        /// Full name.
        name: String,
        /// Expected shape.
        expected: Vec<usize>,
        /// Shape in the weights.
        found: Vec<usize>,
    },
    /// The weights hold tensors that the model does not use, so they belong to other settings.
    #[error("the weights hold {} tensors that these settings do not use, the first `{}`", names.len(), names.first().map_or("", String::as_str))]
    UnexpectedWeights {
        /// Their names, in order.
        names: Vec<String>,
    },
    /// A tensor cannot be stored.
    #[error("weight `{name}`: {reason}")]
    InvalidWeight {
        /// Full name.
        name: String,
        /// Why not.
        reason: String,
    },
    /// An input is not what the model reads.
    #[error("{op}: input is {found}, but the model reads {expected}")]
    Input {
        /// The operation.
        op: &'static str,
        /// What the model reads.
        expected: String,
        /// What was given.
        found: String,
    },
    /// The array for a result has the wrong shape.
    #[error("{op}: the output array is {found:?}, but must be {expected:?}")]
    OutputShape {
        /// The operation.
        op: &'static str,
        /// Shape of the results.
        expected: Vec<usize>,
        /// Shape of the array.
        found: Vec<usize>,
    },
    /// A slice of training has the wrong length.
    #[error("{op}: `{name}` has {found} elements, but {expected:?} needs {}", expected.iter().product::<usize>())]
    Length {
        /// The operation.
        op: &'static str,
        /// Which operand or result.
        name: &'static str,
        /// Its shape.
        expected: Vec<usize>,
        /// How many elements were given.
        found: usize,
    },
    /// A setting that this engine does not run.
    #[error("this engine does not run `{setting}` = {value}: {reason}")]
    Unsupported {
        /// Name of the setting.
        setting: String,
        /// Its value.
        value: String,
        /// Why.
        reason: String,
    },
    /// The threads could not be started.
    #[error("cannot start {threads} threads: {reason}")]
    Threads {
        /// Requested number of threads.
        threads: usize,
        /// What the operating system says.
        reason: String,
    },
    /// A setting makes no sense.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Link probabilities could not be computed.
    #[error(transparent)]
    Core(#[from] CoreError),
    /// Another engine behind the same interface failed.
    #[error("{0}")]
    Other(String),
}

/// Result of this module.
pub type Result<T, E = EngineError> = std::result::Result<T, E>;

impl EngineError {
    /// Refuses a slice that does not hold an array of the shape `expected`.
    pub(crate) fn check_length(
        op: &'static str,
        name: &'static str,
        found: usize,
        expected: &[usize],
    ) -> Result<()> {
        if found == expected.iter().product::<usize>() {
            return Ok(());
        }
        Err(Self::Length {
            op,
            name,
            expected: expected.to_vec(),
            found,
        })
    }

    pub(crate) fn unsupported(setting: &str, value: impl std::fmt::Debug, reason: &str) -> Self {
        Self::Unsupported {
            setting: setting.to_owned(),
            value: format!("{value:?}"),
            reason: reason.to_owned(),
        }
    }
}
