//! Runs what was planned, one after another; what is finished already is taken as it is.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use nac_data::Progress;

use super::plan::{PlannedExperiment, PlannedRun};
use crate::processes::{self, Start};
use nac_dist::Ended as AllEnded;
use nac_train::config::{RunConfig, to_toml};
use nac_train::run::{RunFolder, RunOptions, processes as run_processes, run};
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

/// Carries out runs with [`run`]; all have these options but for folder, label and resuming.
#[derive(Debug, Clone)]
pub struct Training {
    /// What all runs have in common.
    pub options: RunOptions,
    /// The program `nac`, for runs on several processes; without it, all runs are in this process.
    pub program: Option<PathBuf>,
}

impl Training {
    /// A run on several processes, each a `nac train`.
    fn on_processes(&self, program: &Path, count: usize, job: Job<'_>) -> Result<RunSummary> {
        let config = job.config.check()?;
        let settings = tempfile::NamedTempFile::new();
        let settings = settings.map_err(TrainError::io("make", &std::env::temp_dir()))?;
        let file = settings.path();
        std::fs::write(file, to_toml(&config)).map_err(TrainError::io("write", file))?;
        let mut arguments: Vec<OsString> = vec!["train".into(), "--config".into(), file.into()];
        arguments.extend(["--out".into(), job.folder.into()]);
        arguments.extend(["--label".into(), job.label.into()]);
        if let Some(folder) = self.options.data_dirs.data_dir() {
            arguments.extend(["--data-dir".into(), folder.into()]);
        }
        if job.resume {
            arguments.push("--resume".into());
        }
        let start = Start {
            program: program.to_owned(),
            arguments,
            again: Vec::new(),
            processes: count,
            restarts: 0,
        };
        let folder = RunFolder::new(job.folder.to_owned());
        let ended = processes::start(&config, start)?;
        match (ended, self.options.interrupt.raised()) {
            (AllEnded::Success, _) => folder.summary(),
            (_, Some(signal)) => Err(TrainError::Interrupted {
                step: folder.last_checkpoint().map_or(0, |last| last.state.step),
                signal,
                folder: Some(job.folder.to_owned()),
            }),
            // It has said why.
            (AllEnded::Failed(rank, _) | AllEnded::Lost(rank), None) => {
                Err(TrainError::OtherRank { rank })
            }
        }
    }
}

impl Runner for Training {
    fn run(&mut self, job: Job<'_>) -> Result<RunSummary> {
        if let Some(program) = &self.program {
            let count = run_processes(&job.config.check()?, &self.options.data_dirs)?.count;
            if count > 1 {
                return self.on_processes(program, count, job);
            }
        }
        let mut options = self.options.clone();
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
