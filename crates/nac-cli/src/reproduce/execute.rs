//! Runs what was planned, one after another; what is finished already is taken as it is.

use std::path::Path;

use nac_data::Progress;

use super::plan::{PlannedExperiment, PlannedRun};
use nac_train::config::RunConfig;
use nac_train::run::{RunFolder, RunOptions, run};
use nac_train::summary::RunSummary;
use nac_train::{Result, TrainError};

/// A single run to carry out.
#[derive(Debug, Clone, Copy)]
pub struct Job<'a> {
    /// Its settings.
    pub config: &'a RunConfig,
    /// Where it is kept.
    pub folder: &'a Path,
    /// Go on with what is there.
    pub resume: bool,
    /// What to call it in progress lines.
    pub label: &'a str,
}

/// Carries out single runs; a trait for tests, see [`Training`] for the real one.
pub trait Runner {
    /// Trains and tests a model.
    ///
    /// # Errors
    /// Whatever the run gives; [`TrainError::Interrupted`] if the user stopped it.
    fn run(&mut self, job: Job<'_>) -> Result<RunSummary>;
}

/// Carries out runs with [`run`](nac_train::run::run); all have these options but for folder, label and resuming.
#[derive(Debug, Clone)]
pub struct Training(pub RunOptions);

impl Runner for Training {
    fn run(&mut self, job: Job<'_>) -> Result<RunSummary> {
        let mut options = self.0.clone();
        options.out = Some(job.folder.to_owned());
        options.resume = job.resume;
        options.label = job.label.to_owned();
        run(job.config, &options)
    }
}

/// What became of a run.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Ended {
    /// It finished, now or before.
    Finished(Box<RunSummary>),
    /// It stopped with an error.
    Failed(String),
    /// The user stopped it, or a run before it.
    Stopped,
}

/// What is in the folder of a run.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Found {
    /// Nothing of a run.
    Nothing,
    /// A run with the same settings that has not finished.
    Unfinished,
    /// A finished run with the same settings.
    Finished(Box<RunSummary>),
}

/// Looks into the folder of a run; changes nothing.
///
/// # Errors
/// [`TrainError::OtherConfig`] if it holds a run with other settings, [`TrainError::FolderInUse`] if it holds
/// something else; a file cannot be read.
pub(super) fn look(run: &PlannedRun) -> Result<Found> {
    let folder = RunFolder::new(run.folder.clone());
    if let Some(summary) = folder.inspect(&run.config.check()?, true)? {
        return Ok(Found::Finished(Box::new(summary)));
    }
    Ok(if folder.path().join("config.toml").exists() {
        Found::Unfinished
    } else {
        Found::Nothing
    })
}

/// Carries out all runs of all experiments, in order. After an error the next run is tried; after an
/// interruption none is.
pub(super) fn execute(
    plan: &[PlannedExperiment],
    runner: &mut dyn Runner,
    progress: &dyn Progress,
) -> Vec<Vec<Ended>> {
    let total: usize = plan.iter().map(|experiment| experiment.runs.len()).sum();
    let mut number = 0;
    let mut stopped = false;
    let mut all = Vec::new();
    for experiment in plan {
        let mut ended = Vec::new();
        for run in &experiment.runs {
            number += 1;
            if stopped {
                ended.push(Ended::Stopped);
                continue;
            }
            let name = format!("run {number} of {total}: {}", experiment.label(run));
            let label = format!("[{number}/{total}] {}", run.model);
            let end = one(run, (&name, &label), runner, progress);
            stopped = end == Ended::Stopped;
            ended.push(end);
        }
        all.push(ended);
    }
    all
}

fn one(
    run: &PlannedRun,
    (name, label): (&str, &str),
    runner: &mut dyn Runner,
    progress: &dyn Progress,
) -> Ended {
    let found = match look(run) {
        Ok(found) => found,
        Err(error) => {
            progress.note(&format!("{name}: failed: {error}"));
            return Ended::Failed(error.to_string());
        }
    };
    let resume = match found {
        Found::Finished(summary) => {
            progress.note(&format!(
                "{name} (finished before, in {})",
                run.folder.display()
            ));
            return Ended::Finished(summary);
        }
        Found::Unfinished => true,
        Found::Nothing => false,
    };
    progress.note(&if resume {
        format!("{name} (continued)")
    } else {
        name.to_owned()
    });
    match runner.run(Job {
        config: &run.config,
        folder: &run.folder,
        resume,
        label,
    }) {
        Ok(summary) => Ended::Finished(Box::new(summary)),
        Err(TrainError::Interrupted { step, .. }) => {
            progress.note(&format!(
                "{name}: stopped after step {step}; everything is saved"
            ));
            Ended::Stopped
        }
        Err(error) => {
            progress.note(&format!("{name}: failed: {error}"));
            Ended::Failed(error.to_string())
        }
    }
}
