//! Robustness: accuracy of trained models on images that are not like those they were trained on.
//!
//! ```text
//! test part of the runs ─┬─ as it is
//!                        ├─ every kind of corruption, in every severity
//!                        └─ renditions of its classes (Tiny-ImageNet-R, ImageNet-R), where the files are
//! ```
//!
//! All models see the same images, and corruptions draw the same noise for all. On renditions an answer is the best of the
//! classes that they have.

mod condition;
mod config;
mod images;
mod report;

use std::path::PathBuf;
use std::sync::Arc;

use nac_data::corruption::Corruption;
use nac_data::{Dataset, Fingerprint, Progress as _};
use nac_engine::Engine;
use nac_modules::device::open_device;
use nac_modules::model::Model;
use serde::{Deserialize, Serialize};

pub use condition::Condition;
pub use config::RobustnessConfig;
pub use report::{ConditionResult, RobustnessDifference, RobustnessReport, RobustnessSummary};

use crate::adapt::SourceModel;
use crate::error::{Result, TrainError};
use crate::finite::require_finite;
use crate::metrics::{Accuracy, Evaluation, Evaluator, Metric};
use crate::result_folder::ResultFolder;
use crate::run::{
    Data, DataProgress, EngineChoice, RunOptions, evaluate_engine, open_engine, set_threads,
    weights,
};
use crate::storage;
use crate::trainer::evaluate;
use images::{Images, renditions};

/// File with the whole [`RobustnessReport`].
pub const RESULTS: &str = "results.json";

/// What decides the results of a folder.
#[derive(Serialize)]
struct Frozen {
    /// Name, kind and checkpoint of each model.
    models: Vec<String>,
    engine: String,
    kinds: Vec<Corruption>,
    severities: Vec<u8>,
    seed: u64,
    examples: usize,
    renditions: bool,
    test: Fingerprint,
}

/// Evaluates the last checkpoints of `runs` on their common test part, as it is and under every corruption, and on
/// renditions of its classes where their files are found. Writes `results.json`, `conditions.csv` and `summary.csv` into
/// `options.folder(&config.name)`, one evaluation after the other; with `options.resume`, those that are there are not made
/// again. Of the options, group and label are not used.
///
/// # Errors
/// A setting, a run, the data or the folder cannot be used; the runs have other test images than each other, or none;
/// [`TrainError::Paused`] if it was asked to stop.
pub fn robustness(
    runs: &[PathBuf],
    config: &RobustnessConfig,
    options: &RunOptions,
) -> Result<RobustnessReport> {
    config.check()?;
    let models = SourceModel::open_all(runs)?;
    let progress = DataProgress::new(options.progress);
    let test = common_test(&models, options, &progress)?;
    let images = Images::new(test, config)?;
    let mut conditions = config.conditions();
    let rendered = match (config.renditions, models.first()) {
        (true, Some(model)) => renditions(&model.config, &options.data_dirs, &progress)?,
        _ => None,
    };
    if let Some(dataset) = &rendered {
        conditions.push(Condition::Renditions {
            dataset: dataset.info().name.clone(),
        });
    }
    let part = images.test();
    let id = |model: &SourceModel| {
        format!(
            "{} {} {}",
            model.id.name, model.id.kind, model.id.checkpoint
        )
    };
    let frozen = Frozen {
        models: models.iter().map(id).collect(),
        engine: engine_name(config.engine.as_ref()),
        kinds: config.kinds.clone(),
        severities: config.severities.clone(),
        seed: config.seed,
        examples: images.len(),
        renditions: rendered.is_some(),
        test: Fingerprint::of(part, part, part),
    };
    let folder = ResultFolder::open(options.folder(&config.name), &frozen, &[], options.resume)?;
    let mut work = Work {
        options,
        folder,
        progress,
        done: 0,
        total: (conditions.len() * models.len()) as u64,
    };
    let found = work.run(&models, config, &conditions, &images, rendered.as_ref())?;
    let report = RobustnessReport::new(part.info().name.clone(), images.len(), &models, found);
    storage::write_json(&work.folder.path().join(RESULTS), &report)?;
    work.folder
        .write_table("conditions.csv", &report.condition_rows())?;
    work.folder
        .write_table("summary.csv", &report.summary_rows())?;
    Ok(report)
}

/// The test part that all runs have.
fn common_test(
    models: &[SourceModel],
    options: &RunOptions,
    progress: &DataProgress,
) -> Result<Arc<dyn Dataset>> {
    let mut common: Option<(Fingerprint, Arc<dyn Dataset>)> = None;
    for model in models {
        let test = Data::open(&model.config, &options.data_dirs, progress)?.test;
        let now = Fingerprint::of(test.as_ref(), test.as_ref(), test.as_ref());
        match &common {
            None => common = Some((now, test)),
            Some((before, _)) => {
                let differences = before.differences(&now);
                if !differences.is_empty() {
                    let reason = format!(
                        "not the test images of the first run: {}",
                        differences.join(", ")
                    );
                    return Err(TrainError::setting("run", model.id.run.display(), reason));
                }
            }
        }
    }
    let none = || TrainError::setting("runs", "none", "at least one is needed");
    Ok(common.ok_or_else(none)?.1)
}

/// What computes the results, with what decides their bits.
fn engine_name(engine: Option<&EngineChoice>) -> String {
    match engine {
        None => "trainer".into(),
        Some(EngineChoice::Core(options)) => format!("core {}", options.precision),
        Some(EngineChoice::Torch { .. }) => "torch".into(),
    }
}

/// A model that is ready to answer.
enum Ready {
    Model(Box<dyn Model>, u64),
    Engine(Box<dyn Engine>),
}

impl Ready {
    fn new(model: &SourceModel, config: &RobustnessConfig) -> Result<Self> {
        set_threads(model.config.threads);
        Ok(match &config.engine {
            None => {
                let device = open_device(&config.device)?;
                let seed = model.config.seed;
                Self::Model(model.restore(device)?, seed)
            }
            Some(choice) => {
                let weights = weights(&model.checkpoint)?;
                Self::Engine(open_engine(model.file.clone(), &weights, choice.clone())?)
            }
        })
    }

    fn evaluate(&self, dataset: &Arc<dyn Dataset>, evaluator: &Evaluator) -> Result<Evaluation> {
        let metrics: [Box<dyn Metric>; 1] = [Box::new(Accuracy)];
        require_finite(match self {
            Self::Model(model, seed) => {
                evaluate(model.as_ref(), dataset, &metrics, evaluator, *seed)?
            }
            Self::Engine(engine) => evaluate_engine(engine.as_ref(), dataset, &metrics, evaluator)?,
        })
    }
}

/// Accuracy and loss of one model under one condition.
#[derive(Serialize, Deserialize)]
struct Found {
    accuracy: f64,
    loss: f64,
    examples: usize,
}

/// Evaluations at work.
struct Work<'a> {
    options: &'a RunOptions,
    folder: ResultFolder,
    progress: DataProgress,
    done: u64,
    total: u64,
}

impl Work<'_> {
    fn run(
        &mut self,
        models: &[SourceModel],
        config: &RobustnessConfig,
        conditions: &[Condition],
        images: &Images,
        rendered: Option<&Arc<dyn Dataset>>,
    ) -> Result<Vec<ConditionResult>> {
        self.progress
            .start("evaluating", Some(self.total), "evaluations");
        let mut all = Vec::new();
        for (index, model) in models.iter().enumerate() {
            // Made when the first evaluation is missing.
            let mut ready = None;
            let evaluator = Evaluator {
                batch_size: model.config.training.eval_batch_size,
                workers: model.config.training.workers,
            };
            for condition in conditions {
                let key = format!("m{index}-{}", condition.key());
                let known = self.folder.get::<Found>(&key)?;
                let found = match known {
                    Some(found) => found,
                    None => {
                        let dataset = match (condition, rendered) {
                            (Condition::Renditions { .. }, Some(rendered)) => rendered.clone(),
                            _ => images.under(condition)?,
                        };
                        let ready = match &mut ready {
                            Some(ready) => ready,
                            none => none.insert(Ready::new(model, config)?),
                        };
                        let found = found(&ready.evaluate(&dataset, &evaluator)?)?;
                        self.folder.put(&key, &found)?;
                        found
                    }
                };
                all.push(ConditionResult {
                    model: model.id.name.clone(),
                    condition: condition.clone(),
                    accuracy: found.accuracy,
                    loss: found.loss,
                    examples: found.examples,
                });
                self.count()?;
            }
        }
        self.progress.finish();
        Ok(all)
    }

    fn count(&mut self) -> Result<()> {
        self.done += 1;
        self.progress.at(self.done);
        if self.options.interrupt.is_raised() {
            self.progress.finish();
            return Err(TrainError::Paused {
                signal: self.options.interrupt.raised(),
                done: self.done,
                total: self.total,
                folder: self.folder.path().to_owned(),
            });
        }
        Ok(())
    }
}

fn found(evaluation: &Evaluation) -> Result<Found> {
    let none = || TrainError::State("an evaluation without accuracy".into());
    Ok(Found {
        accuracy: evaluation.metric("accuracy").ok_or_else(none)?,
        loss: evaluation.loss,
        examples: evaluation.examples,
    })
}
