//! Several processes that train one model: joining them, and starting them.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use nac_dist::{Ended, Environment, Gloo, GlooOptions, Launcher, Source};
use nac_train::config::ValidConfig;
use nac_train::run::RunOptions;
use nac_train::trainer::{Interrupt, StopSignal, handled_signals};
use nac_train::{Result, TrainError};

/// How long the other processes may go on after one failed, beyond the time in which they must notice.
const GRACE: Duration = Duration::from_secs(30);

/// Makes `options` those of this process among the others, if it was started as one of several. Whether it was.
///
/// # Errors
/// The variables of the environment are not as they should be, or the others do not come.
pub fn join(config: &ValidConfig, options: &mut RunOptions) -> Result<bool> {
    let Some(environment) = Environment::discover()?.filter(|found| found.size > 1) else {
        return Ok(false);
    };
    if let Source::Launcher(id) = environment.source {
        end_with(id, options.interrupt.clone());
    }
    let gloo = GlooOptions {
        timeout: config.processes.timeout(),
        ..GlooOptions::default()
    };
    let group = Gloo::join(&environment, &gloo.interfaces_from_environment())?;
    options.group = Arc::new(group);
    options.local_processes = environment.local_size;
    Ok(true)
}

/// Asks the run to stop when the process that started this one is gone.
fn end_with(launcher: u32, interrupt: Interrupt) {
    let watch = move || {
        while std::os::unix::process::parent_id() == launcher {
            thread::sleep(Duration::from_millis(200));
        }
        interrupt.raise(StopSignal::Terminate);
    };
    // Without the thread the run goes on alone, nothing worse.
    let _ = thread::Builder::new().name("launcher".into()).spawn(watch);
}

/// How the processes of a run are started.
#[derive(Debug, Clone)]
pub struct Start {
    /// The program `nac`.
    pub program: PathBuf,
    /// Arguments of `nac train` for each process.
    pub arguments: Vec<OsString>,
    /// Further arguments when they are started again.
    pub again: Vec<OsString>,
    /// Number of processes.
    pub processes: usize,
    /// How often they are started again after one was lost.
    pub restarts: usize,
}

/// Starts processes and waits for them.
///
/// # Errors
/// A process cannot be started.
pub fn start(config: &ValidConfig, start: Start) -> Result<Ended> {
    let launcher = Launcher {
        program: start.program,
        arguments: start.arguments,
        again: start.again,
        processes: start.processes,
        restarts: start.restarts,
        signals: handled_signals(),
        grace: config.processes.timeout() + GRACE,
    };
    launcher
        .run(nac_data::output::note)
        .map_err(TrainError::from)
}
