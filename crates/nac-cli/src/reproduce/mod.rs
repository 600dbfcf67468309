//! The main job: the circuit against a baseline of as many parameters, on ListOps and on images, with
//! one report at the end.
//!
//! The path through this folder: `profile` and `experiment` (what there is, with the settings embedded from
//! `configs/`) → `availability` (is CIFAR-10 here?) → `plan` (experiments × seeds × models) → `execute`
//! (one after another; finished runs are taken as they are, unfinished ones go on) → `collect` (a
//! [`Report`]). [`reproduce`] does all of it.

mod availability;
mod collect;
mod execute;
mod expected;
mod experiment;
mod plan;
mod profile;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use nac_data::{DataDirs, Progress};

pub use execute::{Job, Runner, Training};
pub use expected::{Expected, expected};
pub use experiment::Experiment;
pub use profile::Profile;

use self::availability::Availability;
use self::execute::Ended;
use self::plan::PlannedExperiment;
use crate::report::{Report, ReportError, Written};
use nac_train::config::Override;
use nac_train::{Result, TrainError};

/// What to run.
#[derive(Debug, Clone)]
pub struct Request {
    /// How much.
    pub profile: Profile,
    /// Which experiments; none means ListOps and CIFAR-10.
    pub only: Vec<Experiment>,
    /// Number of seeds, counted up from that of the settings; at least 1.
    pub seeds: u64,
    /// Changes of settings, for all runs.
    pub overrides: Vec<Override>,
    /// Whether `overrides` hold more than where to run.
    pub changed: bool,
    /// Folder for the runs, `report.html` and `results.json`.
    pub out: PathBuf,
    /// Where data are looked for.
    pub dirs: DataDirs,
    /// Download nothing.
    pub offline: bool,
    /// The command as it was typed, for the report.
    pub command: String,
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct Reproduced {
    /// The report that was written.
    pub report: Report,
    /// Where it is.
    pub written: Written,
    /// How many runs failed.
    pub failed: usize,
    /// Whether the user stopped it; the same request goes on.
    pub stopped: bool,
}

/// Why nothing could be run or the report not be written. A run that fails is no error; see
/// [`Reproduced::failed`].
#[derive(Debug, thiserror::Error)]
pub enum ReproduceError {
    /// A setting or a folder cannot be used.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// The report cannot be made.
    #[error(transparent)]
    Report(#[from] ReportError),
}

/// Runs what is asked for and writes the report.
///
/// If CIFAR-10 is asked for and can neither be found nor downloaded, its rows say `skipped: no data` and the
/// UCI digits run under their own name.
///
/// # Errors
/// A setting cannot be used, or a folder below `out` holds a run with other settings (both before anything
/// runs); the report cannot be written.
pub fn reproduce(
    request: &Request,
    runner: &mut dyn Runner,
    progress: &dyn Progress,
) -> std::result::Result<Reproduced, ReproduceError> {
    let (plan, notes) = planned(request, progress)?;
    for run in plan.iter().flat_map(|experiment| &experiment.runs) {
        execute::look(run)?;
    }
    std::fs::create_dir_all(&request.out)
        .map_err(TrainError::io("make the folder", &request.out))?;
    let ended = execute::execute(&plan, runner, progress);
    let frame = collect::Frame {
        command: &request.command,
        profile: request.profile,
        changed: request.changed,
        notes,
    };
    let report = collect::collect(&plan, &ended, &frame);
    let written = report.write(&request.out)?;
    let count = |is: fn(&Ended) -> bool| ended.iter().flatten().filter(|ended| is(ended)).count();
    Ok(Reproduced {
        report,
        written,
        failed: count(|ended| matches!(ended, Ended::Failed(_))),
        stopped: count(|ended| *ended == Ended::Stopped) > 0,
    })
}

/// The experiments with their runs, and what to say about missing data.
fn planned(
    request: &Request,
    progress: &dyn Progress,
) -> Result<(Vec<PlannedExperiment>, Vec<String>)> {
    let asked = |experiment| {
        request.only.contains(&experiment)
            || (request.only.is_empty() && experiment != Experiment::Digits)
    };
    let new = |experiment| {
        PlannedExperiment::new(
            experiment,
            request.profile,
            &request.overrides,
            request.seeds.max(1),
            &request.out,
        )
    };
    let mut plan = Vec::new();
    let mut notes = Vec::new();
    let mut digits = asked(Experiment::Digits);
    if asked(Experiment::ListOps) {
        plan.push(new(Experiment::ListOps)?);
    }
    if asked(Experiment::Cifar10) {
        let cifar10 = new(Experiment::Cifar10)?;
        match availability::cifar10(&request.dirs, request.offline, progress) {
            Availability::Here => plan.push(cifar10),
            Availability::Missing { instructions } => {
                progress.note(
                    "CIFAR-10: skipped, no data. The UCI digits run instead, under their own name.",
                );
                notes.push(instructions);
                plan.push(cifar10.skip("no data"));
                digits = true;
            }
        }
    }
    if digits {
        plan.push(new(Experiment::Digits)?);
    }
    Ok((plan, notes))
}
