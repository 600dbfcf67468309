//! [`Adaptation`]: one adapted model after the other, each written down when it is finished.

use std::path::Path;
use std::sync::Arc;

use nac_core::rng::Streams;
use nac_data::{Dataset, Episode, Progress as _, SharedDataset, Splits, resize_images};
use serde::{Deserialize, Serialize};
use tch::Device;

use super::config::AdaptConfig;
use super::few_shot::{FewShot, accuracy};
use super::part::TrainedPart;
use super::report::{self, AdaptReport, EpisodeResult};
use super::save;
use super::search::{self, Choice, SourceEpisode, Trial};
use super::source::{ModelId, SourceModel};
use crate::error::{Result, TrainError};
use crate::result_folder::ResultFolder;
use crate::run::{Data, DataProgress, RunOptions};
use crate::storage;

/// File with the whole [`AdaptReport`].
pub const RESULTS: &str = "results.json";

/// Validation examples of each class below which a choice is uncertain.
const FEW: usize = 5;

/// Accuracy after each number of steps of an episode of the source.
#[derive(Serialize, Deserialize)]
struct SourceResult {
    accuracies: Vec<f64>,
    /// Examples that they are over.
    examples: usize,
}

/// An adaptation at work.
pub(super) struct Adaptation<'a> {
    pub(super) config: &'a AdaptConfig,
    pub(super) options: &'a RunOptions,
    pub(super) device: Device,
    pub(super) folder: ResultFolder,
    pub(super) progress: DataProgress,
    pub(super) models: Vec<SourceModel>,
    /// What each model was trained on.
    pub(super) sources: Vec<Data>,
    /// The target.
    pub(super) splits: Splits,
    /// Adapted models so far, of source and target.
    pub(super) done: u64,
}

impl Adaptation<'_> {
    /// Opens what each model was trained on.
    pub(super) fn open_sources(&mut self) -> Result<()> {
        for model in &self.models {
            let data = Data::open(&model.config, &self.options.data_dirs, &self.progress)?;
            if let Some(first) = self.sources.first() {
                let (before, now) = (first.description(), data.description());
                let differ = before.fingerprint.differences(&now.fingerprint);
                if !differ.is_empty() {
                    let text = format!(
                        "warning: the models were trained on different data: {}",
                        differ.join(", ")
                    );
                    self.progress.note(&text);
                }
            }
            let classes = data.validation.info().output.class_count().unwrap_or(1);
            if data.validation.len() < FEW * classes {
                self.progress.note(&format!(
                    "warning: {} was trained with {} validation examples of {classes} classes, by which learning rate and \
                     steps are chosen; with a greater training.validation_examples the choice is surer",
                    model.id.name,
                    data.validation.len(),
                ));
            }
            self.sources.push(data);
        }
        Ok(())
    }

    /// Everything that is missing in the folder, then the report.
    pub(super) fn run(&mut self) -> Result<AdaptReport> {
        let (mut choices, mut episodes) = (Vec::new(), Vec::new());
        self.progress
            .start("adapting", Some(self.total()), "models");
        for &part in &self.config.train {
            for &shots in &self.config.shots {
                let chosen = self.search(part, shots)?;
                for episode in 0..self.config.episodes {
                    for (index, choice) in chosen.iter().enumerate() {
                        episodes.push(self.target_episode(index, choice, episode)?);
                    }
                }
                choices.extend(chosen);
            }
        }
        self.progress.finish();
        let report = self.report(choices, episodes);
        storage::write_json(&self.folder.path().join(RESULTS), &report)?;
        self.folder
            .write_table("episodes.csv", &report.episode_rows())?;
        self.folder
            .write_table("summary.csv", &report.summary_rows())?;
        self.folder
            .write_table("differences.csv", &report.difference_rows())?;
        self.folder
            .write_table("search.csv", &report.search_rows())?;
        Ok(report)
    }

    /// How many models are adapted, to source and target.
    fn total(&self) -> u64 {
        let config = self.config;
        let tries = config.search.learning_rates.len() * config.search.episodes;
        let each = config.train.len() * config.shots.len() * self.models.len();
        (each * (tries + config.episodes)) as u64
    }

    /// Counts a result; an error if it was asked to stop.
    fn count(&mut self) -> Result<()> {
        self.done += 1;
        self.progress.at(self.done);
        match self.options.interrupt.raised() {
            Some(_) => Err(self.paused()),
            None => Ok(()),
        }
    }

    fn paused(&self) -> TrainError {
        self.progress.finish();
        TrainError::Paused {
            signal: self.options.interrupt.raised(),
            done: self.done,
            total: self.total(),
            folder: self.folder.path().to_owned(),
        }
    }

    /// Seed of something, the same for all models, parts and numbers of shots.
    fn seed(&self, what: &str, episode: usize) -> u64 {
        Streams::new(self.config.seed).derive(&format!("adapt/{what}/{episode}"))
    }

    fn few_shot<'a>(
        &'a self,
        index: usize,
        trained: &'a [String],
        rate: f64,
        seed: u64,
    ) -> FewShot<'a> {
        FewShot {
            model: &self.models[index],
            device: self.device,
            trained,
            training: &self.config.training,
            threads: self.config.threads,
            learning_rate: rate,
            seed,
        }
    }

    /// Chooses learning rates and the number of steps for all models.
    fn search(&mut self, part: TrainedPart, shots: usize) -> Result<Vec<Choice>> {
        let search = &self.config.search;
        let mut all = Vec::with_capacity(self.models.len());
        let mut examples = vec![0; self.models.len()];
        for (index, judged) in examples.iter_mut().enumerate() {
            let mut trials = Vec::new();
            for (number, &learning_rate) in search.learning_rates.iter().enumerate() {
                let mut sums = vec![0.0; search.steps.len()];
                for episode in 0..search.episodes {
                    let key = format!("search-{part}-k{shots}-m{index}-r{number}-e{episode}");
                    let found = match self.folder.get::<SourceResult>(&key)? {
                        Some(found) => found,
                        None => {
                            let found =
                                self.source_episode(index, (part, shots), learning_rate, episode)?;
                            self.folder.put(&key, &found)?;
                            found
                        }
                    };
                    if number == 0 {
                        *judged += found.examples;
                    }
                    let found = sums.iter_mut().zip(found.accuracies);
                    found.for_each(|(sum, accuracy)| *sum += accuracy);
                    self.count()?;
                }
                let each = search.steps.iter().zip(sums);
                trials.extend(each.map(|(&steps, sum)| Trial {
                    learning_rate,
                    steps,
                    accuracy: sum / search.episodes as f64,
                }));
            }
            all.push(trials);
        }
        let models: Vec<&ModelId> = self.models.iter().map(|model| &model.id).collect();
        Ok(search::choose(
            &models,
            (part, shots),
            &search.steps,
            (all, &examples),
        ))
    }

    /// Accuracy on validation examples of the source after each number of steps.
    fn source_episode(
        &self,
        index: usize,
        (part, shots): (TrainedPart, usize),
        learning_rate: f64,
        episode: usize,
    ) -> Result<SourceResult> {
        let (model, data) = (&self.models[index], &self.sources[index]);
        let ways = self.splits.train.info().output.class_count().unwrap_or(0);
        let seed = self.seed("source", episode);
        let drawn = SourceEpisode::draw(&data.train, &data.validation, (ways, shots), seed)?;
        let trained = part.patterns(&model.file_for(&drawn.support.info().output))?;
        let how = self.few_shot(index, &trained, learning_rate, seed);
        let examples = drawn.query.len();
        let (steps, interrupt) = (&self.config.search.steps, &self.options.interrupt);
        let adapted = match how.run(drawn.support, &drawn.query, steps, interrupt) {
            // A rate that is too high is a try that failed, whatever came before the end.
            Err(TrainError::NotFinite { .. } | TrainError::NotFiniteResult { .. }) => {
                let accuracies = vec![0.0; steps.len()];
                return Ok(SourceResult {
                    accuracies,
                    examples,
                });
            }
            other => other?.ok_or_else(|| self.paused())?,
        };
        let accuracies = adapted
            .evaluations
            .iter()
            .map(accuracy)
            .collect::<Result<_>>()?;
        Ok(SourceResult {
            accuracies,
            examples,
        })
    }

    /// Adapts a model to an episode of the target, and evaluates it on all test examples.
    fn target_episode(
        &mut self,
        index: usize,
        choice: &Choice,
        episode: usize,
    ) -> Result<EpisodeResult> {
        let (part, shots) = (choice.part, choice.shots);
        let key = format!("{part}-k{shots}-m{index}-e{episode}");
        let saved = self.folder.path().join("models").join(&key);
        let complete = !self.config.save_models || saved.join("config.toml").exists();
        let known = match complete {
            true => self.folder.get(&key)?,
            false => None,
        };
        let result = match known {
            Some(result) => result,
            None => {
                let result = self.adapted_to_target(index, choice, episode, &saved)?;
                self.folder.put(&key, &result)?;
                result
            }
        };
        self.count()?;
        Ok(result)
    }

    fn adapted_to_target(
        &self,
        index: usize,
        choice: &Choice,
        episode: usize,
        saved: &Path,
    ) -> Result<EpisodeResult> {
        let model = &self.models[index];
        let seed = self.seed("target", episode);
        let file = model.file_for(&self.splits.train.info().output);
        let drawn = Episode::draw(self.splits.train.as_ref(), choice.shots, seed)?;
        let support: SharedDataset = Arc::new(drawn.of(self.splits.train.clone())?);
        let support = resize_images(support, &file.inputs)?;
        let test: Arc<dyn Dataset> = resize_images(self.splits.test.clone(), &file.inputs)?;
        let trained = choice.part.patterns(&file)?;
        let how = self.few_shot(index, &trained, choice.learning_rate, seed);
        let adapted = how.run(support, &test, &[choice.steps], &self.options.interrupt)?;
        let adapted = adapted.ok_or_else(|| self.paused())?;
        let none = || TrainError::State("an adapted model was not evaluated".into());
        let found = adapted.evaluations.first().ok_or_else(none)?;
        if self.config.save_models {
            let of = (&self.config.data, self.splits.train.info(), &file);
            save::save(saved, adapted.model(), &how, choice.steps, of)?;
        }
        Ok(EpisodeResult {
            model: model.id.name.clone(),
            part: choice.part,
            episode,
            drawn,
            learning_rate: choice.learning_rate,
            steps: choice.steps,
            trained_values: adapted.trained_values,
            parameters: adapted.model().params().parameter_count(),
            test_examples: found.examples,
            accuracy: accuracy(found)?,
            loss: found.loss,
        })
    }

    fn report(&self, choices: Vec<Choice>, episodes: Vec<EpisodeResult>) -> AdaptReport {
        let info = self.splits.test.info();
        let mut sources: Vec<String> = Vec::new();
        for data in &self.sources {
            let name = &data.train.info().name;
            if !sources.contains(name) {
                sources.push(name.clone());
            }
        }
        let summaries = report::summarize(&choices, &episodes);
        AdaptReport {
            name: self.config.name.clone(),
            sources,
            target: info.name.clone(),
            classes: info.output.class_count().unwrap_or(0),
            test_examples: self.splits.test.len(),
            models: self.models.iter().map(|model| model.id.clone()).collect(),
            differences: report::differences(&summaries, &episodes),
            summaries,
            choices,
            episodes,
        }
    }
}
