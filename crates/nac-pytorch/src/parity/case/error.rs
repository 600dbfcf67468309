//! Why a case ends without all of its comparisons.

use crate::settings::ReferenceError;
use nac_engine::EngineError;
use nac_modules::ModuleError;
use tch::TchError;

/// Result of a step of a case.
pub(super) type CaseResult<T> = Result<T, CaseError>;

/// Why a case ends early.
#[derive(Debug)]
pub(super) enum CaseError {
    /// Our layers lack an option: `<path> = <value>`.
    Unsupported(String),
    /// Ours does something else than the reference.
    Different(String),
    /// The golden is unusable, or running it failed.
    Broken(String),
}

impl CaseError {
    /// A configuration that our layers do not know.
    pub(super) fn unsupported(path: &str, value: impl std::fmt::Display) -> Self {
        Self::Unsupported(format!("{path} = {value}"))
    }
}

impl From<ModuleError> for CaseError {
    fn from(error: ModuleError) -> Self {
        Self::Broken(error.to_string())
    }
}

impl From<nac_core::model::ConfigError> for CaseError {
    fn from(error: nac_core::model::ConfigError) -> Self {
        Self::Broken(error.to_string())
    }
}

impl From<TchError> for CaseError {
    fn from(error: TchError) -> Self {
        Self::Broken(format!("libtorch: {error}"))
    }
}

impl From<nac_core::CoreError> for CaseError {
    fn from(error: nac_core::CoreError) -> Self {
        Self::Broken(error.to_string())
    }
}

impl From<EngineError> for CaseError {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Unsupported { .. } => Self::Unsupported(error.to_string()),
            other => Self::Broken(other.to_string()),
        }
    }
}

impl From<nac_train::TrainError> for CaseError {
    fn from(error: nac_train::TrainError) -> Self {
        Self::Broken(error.to_string())
    }
}

impl From<ReferenceError> for CaseError {
    fn from(error: ReferenceError) -> Self {
        match error {
            ReferenceError::Unsupported {
                path,
                value,
                reason,
            } => Self::Unsupported(format!("{path} = {value}: {reason}")),
            other => Self::Broken(format!("configuration: {other}")),
        }
    }
}
