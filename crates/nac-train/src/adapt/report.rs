//! [`AdaptReport`]: everything that an adaptation found.

use std::collections::BTreeSet;

use nac_data::Episode;
use serde::{Deserialize, Serialize};

use super::part::TrainedPart;
use super::search::Choice;
use super::source::ModelId;
use crate::statistics::Spread;

/// One adapted model, on the full test set of the target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EpisodeResult {
    /// Name of the model.
    pub model: String,
    /// What was trained.
    pub part: TrainedPart,
    /// Number of the episode, from 0. All models, parts and numbers of shots have the same episodes; those of fewer shots
    /// are within those of more.
    pub episode: usize,
    /// The examples that were trained on.
    pub drawn: Episode,
    /// Learning rate.
    pub learning_rate: f64,
    /// Optimizer steps.
    pub steps: u64,
    /// Values that were trained.
    pub trained_values: usize,
    /// All values of the model.
    pub parameters: usize,
    /// Test examples.
    pub test_examples: usize,
    /// Accuracy on them.
    pub accuracy: f64,
    /// Mean cross-entropy on them.
    pub loss: f64,
}

/// A model with what is trained of it and with how many shots, over all episodes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AdaptSummary {
    /// Name of the model.
    pub model: String,
    /// What was trained.
    pub part: TrainedPart,
    /// Examples of each class.
    pub shots: usize,
    /// Accuracy on the test set of the target over the episodes.
    pub accuracy: Spread,
    /// Chosen learning rate.
    pub learning_rate: f64,
    /// Chosen number of steps.
    pub steps: u64,
    /// Learning rates and numbers of steps that were tried: as many for each model.
    pub tries: usize,
    /// Values that were trained.
    pub trained_values: usize,
    /// All values of the model.
    pub parameters: usize,
}

/// The first model against another one, episode by episode.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PairedDifference {
    /// Name of the first model.
    pub first: String,
    /// Name of the other one.
    pub second: String,
    /// What was trained.
    pub part: TrainedPart,
    /// Examples of each class.
    pub shots: usize,
    /// Accuracy of the first less that of the second.
    pub difference: Spread,
    /// The difference of each episode.
    pub episodes: Vec<f64>,
    /// Values trained of the first and of the second. Where they differ, so do the means that each model had.
    pub trained_values: [usize; 2],
}

/// Results of an adaptation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AdaptReport {
    /// Name of the adaptation.
    pub name: String,
    /// Names of the data sets that the models were trained on, each once.
    pub sources: Vec<String>,
    /// Name of the target.
    pub target: String,
    /// Classes of the target.
    pub classes: usize,
    /// Its test examples.
    pub test_examples: usize,
    /// The models, in the order given.
    pub models: Vec<ModelId>,
    /// Over the episodes.
    pub summaries: Vec<AdaptSummary>,
    /// The first model against each other.
    pub differences: Vec<PairedDifference>,
    /// What was chosen on the source.
    pub choices: Vec<Choice>,
    /// Each adapted model.
    pub episodes: Vec<EpisodeResult>,
}

/// Summaries in the order of parts, shots and models.
pub(super) fn summarize(choices: &[Choice], episodes: &[EpisodeResult]) -> Vec<AdaptSummary> {
    let summary = |choice: &Choice| {
        let own = || of(episodes, &choice.model, choice.part, choice.shots);
        let accuracies: Vec<f64> = own().map(|result| result.accuracy).collect();
        let any = own().next();
        AdaptSummary {
            model: choice.model.clone(),
            part: choice.part,
            shots: choice.shots,
            accuracy: Spread::of(&accuracies),
            learning_rate: choice.learning_rate,
            steps: choice.steps,
            tries: choice.trials.len(),
            trained_values: any.map_or(0, |result| result.trained_values),
            parameters: any.map_or(0, |result| result.parameters),
        }
    };
    choices.iter().map(summary).collect()
}

/// The first model against each other one, for each part and number of shots.
pub(super) fn differences(
    summaries: &[AdaptSummary],
    episodes: &[EpisodeResult],
) -> Vec<PairedDifference> {
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for first in summaries {
        if !seen.insert((first.part, first.shots)) {
            continue;
        }
        let (part, shots) = (first.part, first.shots);
        let others = summaries.iter().filter(|other| {
            (other.part, other.shots) == (part, shots) && other.model != first.model
        });
        for second in others {
            let pairs = of(episodes, &first.model, part, shots).filter_map(|ours| {
                let mut theirs = of(episodes, &second.model, part, shots);
                let theirs = theirs.find(|theirs| theirs.episode == ours.episode)?;
                Some(ours.accuracy - theirs.accuracy)
            });
            let pairs: Vec<f64> = pairs.collect();
            found.push(PairedDifference {
                first: first.model.clone(),
                second: second.model.clone(),
                part,
                shots,
                difference: Spread::of(&pairs),
                episodes: pairs,
                trained_values: [first.trained_values, second.trained_values],
            });
        }
    }
    found
}

fn of<'a>(
    episodes: &'a [EpisodeResult],
    model: &'a str,
    part: TrainedPart,
    shots: usize,
) -> impl Iterator<Item = &'a EpisodeResult> {
    episodes.iter().filter(move |result| {
        result.model == model && result.part == part && result.drawn.shots == shots
    })
}

impl AdaptReport {
    /// Rows of `episodes.csv`, the header first.
    pub(super) fn episode_rows(&self) -> Vec<Vec<String>> {
        let header = "model,train,shots,episode,episode_seed,learning_rate,steps,trained_values,parameters,test_examples,accuracy,loss";
        let row = |result: &EpisodeResult| {
            vec![
                result.model.clone(),
                result.part.to_string(),
                result.drawn.shots.to_string(),
                result.episode.to_string(),
                result.drawn.seed.to_string(),
                result.learning_rate.to_string(),
                result.steps.to_string(),
                result.trained_values.to_string(),
                result.parameters.to_string(),
                result.test_examples.to_string(),
                result.accuracy.to_string(),
                result.loss.to_string(),
            ]
        };
        table(header, self.episodes.iter().map(row))
    }

    /// Rows of `summary.csv`.
    pub(super) fn summary_rows(&self) -> Vec<Vec<String>> {
        let header = "model,train,shots,episodes,accuracy,sd,standard_error,learning_rate,steps,tries,trained_values,parameters";
        let row = |summary: &AdaptSummary| {
            let accuracy = &summary.accuracy;
            vec![
                summary.model.clone(),
                summary.part.to_string(),
                summary.shots.to_string(),
                accuracy.count.to_string(),
                accuracy.mean.to_string(),
                accuracy.sd.to_string(),
                accuracy.standard_error.to_string(),
                summary.learning_rate.to_string(),
                summary.steps.to_string(),
                summary.tries.to_string(),
                summary.trained_values.to_string(),
                summary.parameters.to_string(),
            ]
        };
        table(header, self.summaries.iter().map(row))
    }

    /// Rows of `differences.csv`.
    pub(super) fn difference_rows(&self) -> Vec<Vec<String>> {
        let header = "first,second,train,shots,episodes,difference,sd,standard_error,first_trained_values,second_trained_values";
        let row = |found: &PairedDifference| {
            vec![
                found.first.clone(),
                found.second.clone(),
                found.part.to_string(),
                found.shots.to_string(),
                found.difference.count.to_string(),
                found.difference.mean.to_string(),
                found.difference.sd.to_string(),
                found.difference.standard_error.to_string(),
                found.trained_values[0].to_string(),
                found.trained_values[1].to_string(),
            ]
        };
        table(header, self.differences.iter().map(row))
    }

    /// Rows of `search.csv`.
    pub(super) fn search_rows(&self) -> Vec<Vec<String>> {
        let header = "model,train,shots,learning_rate,steps,source_accuracy,source_examples,chosen";
        let rows = self.choices.iter().flat_map(|choice| {
            choice.trials.iter().map(move |trial| {
                let chosen =
                    (trial.learning_rate, trial.steps) == (choice.learning_rate, choice.steps);
                vec![
                    choice.model.clone(),
                    choice.part.to_string(),
                    choice.shots.to_string(),
                    trial.learning_rate.to_string(),
                    trial.steps.to_string(),
                    trial.accuracy.to_string(),
                    choice.source_examples.to_string(),
                    chosen.to_string(),
                ]
            })
        });
        table(header, rows)
    }
}

fn table(header: &str, rows: impl Iterator<Item = Vec<String>>) -> Vec<Vec<String>> {
    let header = header.split(',').map(String::from).collect();
    std::iter::once(header).chain(rows).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(model: &str, episode: usize, accuracy: f64) -> EpisodeResult {
        EpisodeResult {
            model: model.into(),
            part: TrainedPart::Head,
            episode,
            drawn: Episode {
                dataset: "d".into(),
                seed: episode as u64,
                shots: 2,
                indices: vec![1, 5],
            },
            learning_rate: 0.1,
            steps: 3,
            trained_values: 4,
            parameters: 40,
            test_examples: 10,
            accuracy,
            loss: 1.0,
        }
    }

    fn choice(model: &str) -> Choice {
        Choice {
            model: model.into(),
            part: TrainedPart::Head,
            shots: 2,
            learning_rate: 0.1,
            steps: 3,
            source_examples: 5,
            trials: Vec::new(),
        }
    }

    #[test]
    fn differences_are_paired_by_episode() {
        // In another order: pairs go by the number of the episode.
        let episodes = [
            result("a", 0, 0.5),
            result("b", 1, 0.6),
            result("a", 1, 0.9),
            result("b", 0, 0.25),
        ];
        let summaries = summarize(&[choice("a"), choice("b")], &episodes);
        assert_eq!(summaries[0].accuracy.mean, 0.7);
        let found = differences(&summaries, &episodes);
        assert_eq!(found.len(), 1);
        assert_eq!(
            (found[0].first.as_str(), found[0].second.as_str()),
            ("a", "b")
        );
        assert_eq!(found[0].episodes[0], 0.25);
        assert!((found[0].episodes[1] - 0.3).abs() < 1e-12);
        assert!((found[0].difference.mean - 0.275).abs() < 1e-12);
    }
}
