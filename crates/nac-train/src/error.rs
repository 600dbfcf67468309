//! The error of this crate: it names the step, the file with its line, or the setting.

use std::path::{Path, PathBuf};

use nac_core::CoreError;
use nac_data::DataError;
use nac_dist::DistError;
use nac_engine::EngineError;
use nac_modules::ModuleError;
use tch::TchError;

use crate::trainer::StopSignal;

/// Result with [`TrainError`].
pub type Result<T> = std::result::Result<T, TrainError>;

/// What can go wrong while a run is set up, trained, saved or evaluated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// A configuration file cannot be used: unknown key, wrong type, bad syntax.
    #[error("{}:{line}:{column}: {reason}\n  | {source_line}", path.display())]
    ConfigFile {
        /// The file.
        path: PathBuf,
        /// Line, counted from 1.
        line: usize,
        /// Column, counted from 1.
        column: usize,
        /// What is wrong.
        reason: String,
        /// The line itself.
        source_line: String,
    },

    /// A `key=value` setting cannot be used.
    #[error("--set {text}: {reason}")]
    Override {
        /// The setting as given.
        text: String,
        /// What is wrong.
        reason: String,
    },

    /// A setting has an impossible value.
    #[error("{name} = {value}: {reason}")]
    Setting {
        /// Dotted name, such as `training.batch_size`.
        name: String,
        /// The value found.
        value: String,
        /// What is wrong with it.
        reason: String,
    },

    /// A file operation failed.
    #[error("cannot {action} {}: {cause}", path.display())]
    Io {
        /// What was being done, such as `write`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the operating system says; part of the text, so not a `source`.
        cause: std::io::Error,
    },

    /// A file of text is not as it was written.
    #[error(
        "{}: {cause}. If you changed it on purpose, remove its line with `{}`",
        path.display(), nac_core::digest::MARK
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Both digests.
        cause: nac_core::digest::Damaged,
    },

    /// A file exists already and was not to be replaced.
    #[error("{} exists; nothing was changed. Use --force to replace it", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },

    /// A loss term or a gradient is NaN or infinite.
    #[error("step {step}: {what} is {value}; no weight was changed in this step. {advice}")]
    NotFinite {
        /// Step, counted from 1.
        step: u64,
        /// `loss term "<name>"` or `the gradient norm`.
        what: String,
        /// The value.
        value: f64,
        /// Where the last checkpoint is and what may help.
        advice: String,
    },

    /// A loss term cannot be computed.
    #[error("loss term \"{name}\": {reason}")]
    Loss {
        /// Name of the term.
        name: String,
        /// What is wrong.
        reason: String,
    },

    /// A metric cannot be computed from such targets or outputs.
    #[error("metric \"{name}\": {reason}")]
    Metric {
        /// Name of the metric.
        name: String,
        /// What is wrong.
        reason: String,
    },

    /// A checkpoint cannot be used.
    #[error("checkpoint {}: {reason}{}", path.display(), hint(whole.as_deref()))]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
        /// The newest checkpoint of the folder that is whole, if there is one.
        whole: Option<PathBuf>,
    },

    /// The state of optimizer or loss terms does not fit the run.
    #[error("saved state does not fit: {0}")]
    State(String),

    /// The folder of a run cannot be used as it is.
    #[error("{}: {what}; nothing was changed. {advice}", folder.display())]
    FolderInUse {
        /// The folder.
        folder: PathBuf,
        /// What it holds, or who uses it.
        what: &'static str,
        /// What to do.
        advice: &'static str,
    },

    /// There is no run in a folder.
    #[error("{}: there is no run in this folder (no config.toml)", folder.display())]
    NoRun {
        /// The folder.
        folder: PathBuf,
    },

    /// A run is to be resumed with other settings.
    #[error(
        "{}: the run was started with other settings; these differ: {}. Resume without them, or \
         start a new run with another --out",
        folder.display(), differences.join(", ")
    )]
    OtherConfig {
        /// Folder of the run.
        folder: PathBuf,
        /// Dotted names of the settings that differ, with both values.
        differences: Vec<String>,
    },

    /// A run is to be resumed on other data.
    #[error(
        "{}: the data are not those that the run was started with: {}. Put them back to go on, or start a new run \
         with another --out",
        folder.display(), differences.join(", ")
    )]
    OtherData {
        /// Folder of the run.
        folder: PathBuf,
        /// What differs.
        differences: Vec<String>,
    },

    /// The result of an evaluation is NaN or infinite.
    #[error(
        "{what} is {value}, so the model cannot be used; its weights or the data hold values that are not finite"
    )]
    NotFiniteResult {
        /// `the loss`, or `<metric>`.
        what: String,
        /// The value.
        value: f64,
    },

    /// The run was interrupted, after its state was saved.
    #[error("interrupted after step {step}; everything is saved{}", resume_hint(folder.as_deref()))]
    Interrupted {
        /// Optimizer steps done.
        step: u64,
        /// What interrupted it.
        signal: StopSignal,
        /// Folder of the run, if it has one.
        folder: Option<PathBuf>,
    },

    /// Work on many results was interrupted; those that were finished are saved.
    #[error(
        "interrupted with {done} of {total} results; they are saved in {}. The same command with --resume goes on",
        folder.display()
    )]
    Paused {
        /// What interrupted it.
        signal: Option<StopSignal>,
        /// Results so far.
        done: u64,
        /// All results.
        total: u64,
        /// Where they are.
        folder: PathBuf,
    },

    /// Another process of the run was lost.
    #[error(
        "step {step}: {lost}. What was saved is whole; --resume goes on from it, with any number of processes"
    )]
    Processes {
        /// Step, counted from 1, that was not finished.
        step: u64,
        /// Which rank, and in what operation.
        lost: DistError,
    },

    /// Another process of the run ended with an error, which it reported.
    #[error("rank {rank} ended with an error of its own")]
    OtherRank {
        /// That process.
        rank: usize,
    },

    /// From the processes of the run, before it started.
    #[error(transparent)]
    Dist(#[from] DistError),

    /// A data set or a batch does not go with the model.
    #[error("data set `{dataset}`: {reason}")]
    Input {
        /// Name of the data set.
        dataset: String,
        /// What is wrong.
        reason: String,
    },

    /// From the layers.
    #[error(transparent)]
    Module(#[from] ModuleError),

    /// From the data.
    #[error(transparent)]
    Data(#[from] DataError),

    /// From the graph math.
    #[error(transparent)]
    Core(#[from] CoreError),

    /// From an engine that runs a trained model.
    #[error(transparent)]
    Engine(#[from] EngineError),

    /// From libtorch.
    #[error("libtorch: {0}")]
    Torch(TchError),

    /// From a user's own loss, sink or store.
    #[error(transparent)]
    Custom(Box<dyn std::error::Error + Send + Sync>),
}

impl From<TchError> for TrainError {
    fn from(error: TchError) -> Self {
        Self::Torch(error)
    }
}

impl TrainError {
    /// Whether the reason is another process of the run, so that this one may be started again.
    pub fn is_of_another_process(&self) -> bool {
        matches!(
            self,
            Self::Processes { .. }
                | Self::OtherRank { .. }
                | Self::Dist(DistError::Lost { .. } | DistError::Join { .. })
        )
    }

    /// Builds [`TrainError::Setting`].
    pub fn setting(name: &str, value: impl ToString, reason: impl Into<String>) -> Self {
        Self::Setting {
            name: name.to_owned(),
            value: value.to_string(),
            reason: reason.into(),
        }
    }

    /// Builds [`TrainError::Io`] from an operation, a path and a cause.
    pub fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |cause| Self::Io {
            action,
            path: path.to_owned(),
            cause,
        }
    }
}

fn hint(whole: Option<&Path>) -> String {
    whole.map_or_else(String::new, |path| {
        format!(
            ". The newest whole one is {}; move the later ones away to go on from there",
            path.display()
        )
    })
}

/// A path as it can be typed into a shell.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_alphanumeric() || "-_./:,+@%=".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

fn resume_hint(folder: Option<&Path>) -> String {
    folder.map_or_else(String::new, |folder| {
        format!(". Resume with: nac train --resume --out {}", quoted(folder))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_can_cross_threads_and_say_how_to_go_on() {
        fn check<T: Send + Sync + 'static>(_: &T) {}
        let error = TrainError::Interrupted {
            step: 7,
            signal: StopSignal::Terminate,
            folder: Some("runs/x".into()),
        };
        check(&error);
        assert!(error.to_string().contains("--resume --out runs/x"));
        assert_eq!(quoted("a b's".as_ref()), r"'a b'\''s'");
        let error = TrainError::Checkpoint {
            path: "b".into(),
            reason: "truncated".into(),
            whole: Some("a".into()),
        };
        assert!(error.to_string().contains("The newest whole one is a"));
    }
}
