//! The error of this crate: it names the rank and what it was doing.

use tch::TchError;

/// Result with [`DistError`].
pub type Result<T> = std::result::Result<T, DistError>;

/// What can go wrong between processes.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DistError {
    /// A variable of the environment, or an option, cannot be used.
    #[error("{name} = {value:?}: {reason}")]
    Setting {
        /// Name of the variable or option.
        name: String,
        /// Its value.
        value: String,
        /// What is wrong with it.
        reason: String,
    },

    /// This process could not join the others.
    #[error("rank {rank} of {size} cannot join the others by {store}: {reason}")]
    Join {
        /// This process.
        rank: usize,
        /// Number of processes.
        size: usize,
        /// Address of the store.
        store: String,
        /// What libtorch says.
        reason: String,
    },

    /// Other processes are gone or do not answer.
    #[error("rank {rank} lost {} in {during}: {reason}", ranks(lost))]
    Lost {
        /// This process.
        rank: usize,
        /// Those that are gone or did not answer; empty if that is not known.
        lost: Vec<usize>,
        /// The operation.
        during: &'static str,
        /// What libtorch says.
        reason: String,
    },

    /// A tensor that cannot be sent.
    #[error("{during}: expected a contiguous tensor on the CPU, found {found}")]
    Tensor {
        /// The operation.
        during: &'static str,
        /// What the tensor is.
        found: String,
    },

    /// libtorch failed.
    #[error(transparent)]
    Torch(#[from] TchError),

    /// A process could not be started or waited for.
    #[error("cannot {action}: {cause}")]
    Process {
        /// What was being done.
        action: String,
        /// What the operating system says; part of the text, so not a `source`.
        cause: std::io::Error,
    },
}

impl DistError {
    pub(crate) fn setting(name: &str, value: impl ToString, reason: impl Into<String>) -> Self {
        Self::Setting {
            name: name.to_owned(),
            value: value.to_string(),
            reason: reason.into(),
        }
    }

    pub(crate) fn process(action: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let action = action.into();
        move |cause| Self::Process { action, cause }
    }
}

fn ranks(lost: &[usize]) -> String {
    match lost {
        [] => "another rank".into(),
        [one] => format!("rank {one}"),
        many => {
            let names: Vec<String> = many.iter().map(usize::to_string).collect();
            format!("ranks {}", names.join(", "))
        }
    }
}
