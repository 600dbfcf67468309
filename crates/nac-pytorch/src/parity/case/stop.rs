//! Why a case ends without all of its comparisons.

use crate::settings::ReferenceError;
use nac_engine::EngineError;
use nac_modules::ModuleError;
use tch::TchError;

/// Result of a step of a case.
pub(super) type Run<T> = Result<T, Stop>;

/// Why a case ends early.
#[derive(Debug)]
pub(super) enum Stop {
    /// Our layers lack an option: `<path> = <value>`.
    Unsupported(String),
    /// Ours does something else than the reference.
    Different(String),
    /// The recording is unusable, or running it failed.
    Broken(String),
}

impl Stop {
    /// A configuration that our layers do not know.
    pub(super) fn unsupported(path: &str, value: impl std::fmt::Display) -> Self {
        Self::Unsupported(format!("{path} = {value}"))
    }
}

impl From<ModuleError> for Stop {
    fn from(error: ModuleError) -> Self {
        Self::Broken(error.to_string())
    }
}

impl From<TchError> for Stop {
    fn from(error: TchError) -> Self {
        Self::Broken(format!("libtorch: {error}"))
    }
}

impl From<nac_core::CoreError> for Stop {
    fn from(error: nac_core::CoreError) -> Self {
        Self::Broken(error.to_string())
    }
}

impl From<EngineError> for Stop {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Unsupported { .. } => Self::Unsupported(error.to_string()),
            other => Self::Broken(other.to_string()),
        }
    }
}

impl From<nac_train::TrainError> for Stop {
    fn from(error: nac_train::TrainError) -> Self {
        Self::Broken(error.to_string())
    }
}

impl From<ReferenceError> for Stop {
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
