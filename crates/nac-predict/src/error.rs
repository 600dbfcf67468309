//! What can go wrong.

use std::path::PathBuf;

use nac_core::model::ConfigError;
use nac_data::DataError;
use nac_engine::EngineError;

/// Result with [`PredictError`].
pub type Result<T, E = PredictError> = std::result::Result<T, E>;

/// Why there is no prediction.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PredictError {
    /// The folder holds no export.
    #[error(
        "{}: no trained model, there is no {missing}; `nac export --run RUN --out DIR` writes one",
        folder.display()
    )]
    NoModel {
        /// The folder.
        folder: PathBuf,
        /// The file that is not there.
        missing: &'static str,
    },
    /// The model does not say how files become an input.
    #[error(
        "the model does not say how a file becomes its input `{input}` ({expected}): it was exported without \
         preprocessing, or its data set has no files; export its run again, or add [preprocessing.{input}] to model.toml"
    )]
    NoPreprocessing {
        /// Name of the input.
        input: String,
        /// What the model reads.
        expected: String,
    },
    /// An input that the model does not have, or one that it needs.
    #[error("{reason}; the model reads {}", names.join(", "))]
    Inputs {
        /// What is wrong.
        reason: String,
        /// Names of the model's inputs.
        names: Vec<String>,
    },
    /// The settings cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A file cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The weights cannot be read, or the engine does not run the model.
    #[error(transparent)]
    Engine(#[from] EngineError),
}
