//! Low-shot adaptation: a trained model learns other classes from a few examples of each.
//!
//! ```text
//! checkpoints ──► search: episodes of the source ──► learning rate of each model, steps of all
//!                                                        │
//! target ──► episodes: k examples of each class ──► a few steps on the trained part ──► full test set
//!                                                        │
//!                       mean and spread, paired differences ──► results.json, tables
//! ```
//!
//! The protocol is ours, the paper published none. A model gets a new head for the classes of the target; what else is
//! trained is a [`TrainedPart`]. Only the cross-entropy is minimised. The learning rate is constant, and it and the number of
//! steps are chosen on episodes of the source data; the target's test set is evaluated once for each adapted model.
//! [`adapt()`] does all of it in a folder, one result after the other, and goes on where it was stopped.

mod config;
mod few_shot;
mod part;
mod report;
mod save;
mod search;
mod source;
mod work;

use std::path::PathBuf;

use nac_data::{Fingerprint, Progress as _, open_with_progress};
use nac_modules::device::open_device;
use nac_modules::model::BuildModel as _;
use serde::Serialize;

pub use config::{AdaptConfig, AdaptTraining, SearchConfig};
pub use part::{TrainedPart, answer_names};
pub use report::{AdaptReport, AdaptSummary, EpisodeResult, PairedDifference};
pub use search::{Choice, Trial};
pub use source::{ModelId, SourceModel};
pub use work::RESULTS;

use crate::config::TrainingConfig;
use crate::error::Result;
use crate::result_folder::ResultFolder;
use crate::run::{DataProgress, RunOptions, set_threads, uncovered_blocks};
use work::Adaptation;

/// Settings that say where an adaptation runs, not what it is.
const PLACES: [&str; 6] = [
    "settings.device",
    "settings.threads",
    "settings.data.path",
    "settings.data.listops.folder",
    "settings.data.nlvr2.features",
    "settings.training.workers",
];

/// What decides the results of a folder.
#[derive(Serialize)]
struct Frozen<'a> {
    /// Name, kind and checkpoint of each model.
    models: Vec<String>,
    settings: &'a AdaptConfig,
    target: &'a Fingerprint,
}

/// Adapts the last checkpoints of `runs` to the target of `config` and compares the first with each other one. Writes
/// `results.json`, `episodes.csv`, `summary.csv`, `differences.csv` and `search.csv` into `options.folder(&config.name)`.
///
/// Every adapted model is kept as a result of its own: with `options.resume`, those that are there are not computed again. All
/// results are functions of checkpoints, settings and data, so a resumed adaptation gives what one gives that was left
/// alone. Sets the number of libtorch's threads for the whole process. Of the options, group and label are not used.
///
/// # Errors
/// A setting, a run, the data or the folder cannot be used; a class has fewer examples than shots; training fails;
/// [`TrainError::Paused`](crate::TrainError::Paused) if it was asked to stop.
pub fn adapt(runs: &[PathBuf], config: &AdaptConfig, options: &RunOptions) -> Result<AdaptReport> {
    config.check()?;
    let models = SourceModel::open_all(runs)?;
    let device = open_device(&config.device)?;
    let progress = DataProgress::new(options.progress);
    for model in &models {
        config
            .train
            .iter()
            .try_for_each(|part| part.patterns(&model.file).map(|_| ()))?;
        let training = TrainingConfig {
            executor: config.training.executor,
            ..TrainingConfig::default()
        };
        if let Some(text) = uncovered_blocks(&training, &model.file.spec()?, device)? {
            progress.note(&format!("{}: {text}", model.id.name));
        }
    }
    set_threads(config.threads);
    let splits = open_with_progress(&config.data, &options.data_dirs, config.seed, &progress)?;
    let target = Fingerprint::of(
        splits.train.as_ref(),
        splits.test.as_ref(),
        splits.test.as_ref(),
    );
    let id = |model: &SourceModel| {
        format!(
            "{} {} {}",
            model.id.name, model.id.kind, model.id.checkpoint
        )
    };
    let frozen = Frozen {
        models: models.iter().map(id).collect(),
        settings: config,
        target: &target,
    };
    let folder = ResultFolder::open(
        options.folder(&config.name),
        &frozen,
        &PLACES,
        options.resume,
    )?;
    let mut adaptation = Adaptation {
        config,
        options,
        device,
        folder,
        progress,
        sources: Vec::new(),
        models,
        splits,
        done: 0,
    };
    adaptation.open_sources()?;
    adaptation.run()
}
