//! The main job: the circuit against a baseline of as many parameters and one without a body, on tasks of each modality,
//! with one report at the end.
//!
//! The path through this folder: `profile`, `experiment` and `describe` (what there is, with the settings embedded from
//! `configs/`) → `availability` (are the data here?) → `plan` (experiments × seeds × models) → `execute`
//! (one after another; finished runs are taken as they are, unfinished ones go on) → `collect` (a
//! [`Report`]). [`reproduce`] does all of it.

mod availability;
mod collect;
mod describe;
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
    /// Which experiments; none means [`Experiment::DEFAULT`].
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
/// Rows of data sets that are not there say `skipped: no data`. CIFAR-10 is downloaded if it is asked for and not there;
/// if it cannot be, the UCI digits run under their own name.
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
    let new = |experiment| {
        PlannedExperiment::new(
            experiment,
            request.profile,
            &request.overrides,
            request.seeds.max(1),
            &request.out,
        )
    };
    let asked = if request.only.is_empty() {
        Experiment::DEFAULT
    } else {
        &request.only
    };
    let mut digits = asked.contains(&Experiment::Digits);
    let mut plan = Vec::new();
    let mut notes = Vec::new();
    let others = Experiment::ALL
        .iter()
        .filter(|one| **one != Experiment::Digits);
    for &experiment in others.filter(|one| asked.contains(one)) {
        let planned = new(experiment)?;
        let found = if experiment == Experiment::Cifar10 {
            availability::cifar10(&request.dirs, request.offline, progress)
        } else {
            availability::of(experiment.name(), &request.dirs)
        };
        let Availability::Missing { instructions } = found else {
            plan.push(planned);
            continue;
        };
        let title = experiment.title(&planned.config);
        if experiment == Experiment::Cifar10 {
            progress.note(
                "CIFAR-10: skipped, no data. The UCI digits run instead, under their own name.",
            );
            digits = true;
        } else {
            progress.note(&format!("{title}: skipped, no data.\n{instructions}"));
        }
        notes.push(instructions);
        plan.push(planned.skip("no data"));
    }
    if digits {
        plan.push(new(Experiment::Digits)?);
    }
    Ok((plan, notes))
}
