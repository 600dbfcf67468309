//! What is not part of a run's settings: where, how shown, when to stop.

use std::path::{Path, PathBuf};

use nac_data::DataDirs;

use crate::render::ProgressMode;
use crate::trainer::Interrupt;

/// How to carry out a run.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// Folder of the run. Default none: `runs/<name>`.
    pub out: Option<PathBuf>,
    /// Go on with the run in the folder. Default false: a folder that holds something is refused.
    pub resume: bool,
    /// Where data are looked for.
    pub data_dirs: DataDirs,
    /// Asks the run to stop.
    pub interrupt: Interrupt,
    /// How progress is shown.
    pub progress: ProgressMode,
    /// Prefix of each line of progress. Default empty: the name of the run.
    pub label: String,
}

impl RunOptions {
    /// Defaults, with data looked for in `data_dirs`.
    pub fn new(data_dirs: DataDirs) -> Self {
        Self {
            out: None,
            resume: false,
            data_dirs,
            interrupt: Interrupt::new(),
            progress: ProgressMode::default(),
            label: String::new(),
        }
    }

    /// Folder of the run called `name`.
    pub fn folder(&self, name: &str) -> PathBuf {
        self.out
            .clone()
            .unwrap_or_else(|| Path::new("runs").join(name))
    }
}

/// A part of the data to evaluate on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    /// Carved from train, or the data set's own.
    Validation,
    /// For the end.
    Test,
}
