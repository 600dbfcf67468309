//! What can go wrong around a comparison; what goes wrong inside one is the status of its case.

use std::path::{Path, PathBuf};

/// Error of this module.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ParityError {
    /// A file operation failed.
    #[error("cannot {action} {}: {cause}", path.display())]
    Io {
        /// What was being done, such as `read`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the operating system says.
        cause: std::io::Error,
    },
    /// A golden cannot be used.
    #[error("{}: {reason}", path.display())]
    Golden {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A setting has a value that cannot be.
    #[error("{name} = {value}: {reason}")]
    Setting {
        /// Name of the setting.
        name: &'static str,
        /// The value.
        value: String,
        /// Why it is refused.
        reason: &'static str,
    },
    /// The tensors of a golden cannot be read, or the device cannot be used.
    #[error(transparent)]
    Modules(#[from] nac_modules::ModuleError),
    /// libtorch reported an error.
    #[error("libtorch: {0}")]
    Torch(#[from] tch::TchError),
    /// The table of results cannot be written as JSON.
    #[error("results as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

/// Result of this module.
pub type Result<T> = std::result::Result<T, ParityError>;

impl ParityError {
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |cause| Self::Io {
            action,
            path: path.to_owned(),
            cause,
        }
    }
}
