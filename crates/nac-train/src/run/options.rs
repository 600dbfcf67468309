//! What is not part of a run's settings: where, how shown, when to stop.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use nac_data::DataDirs;
use nac_dist::{Group, Single};

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
    /// The processes that train together. Default one.
    pub group: Arc<dyn Group>,
    /// How many of them are on this machine. Default 1.
    pub local_processes: usize,
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
            group: Arc::new(Single),
            local_processes: 1,
        }
    }

    /// Threads of this process where the settings say `threads`: 0, libtorch's choice, is a share of the cores if several
    /// processes are on this machine.
    pub(super) fn threads(&self, threads: usize) -> usize {
        if threads > 0 || self.local_processes < 2 {
            return threads;
        }
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        (cores / self.local_processes).max(1)
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
