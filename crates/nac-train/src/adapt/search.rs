//! How learning rate and number of steps are chosen: on episodes of the data that the models were trained on, never on the
//! target.
//!
//! An episode of the source has as many classes as the target (or all, if there are fewer), drawn by the seed; its shots
//! are training examples of the run, and it is judged by the run's validation examples of these classes.

use std::collections::BTreeSet;
use std::sync::Arc;

use nac_data::random::Stream;
use nac_data::{ClassChoice, ClassSubset, Dataset, Episode, SharedDataset};
use serde::{Deserialize, Serialize};

use super::part::TrainedPart;
use super::source::ModelId;
use crate::error::Result;

/// One try: mean accuracy over the episodes of the source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// Learning rate.
    pub learning_rate: f64,
    /// Optimizer steps.
    pub steps: u64,
    /// Mean accuracy on validation examples of the source.
    pub accuracy: f64,
}

/// What was chosen for a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    /// Name of the model.
    pub model: String,
    /// What is trained.
    pub part: TrainedPart,
    /// Examples of each class.
    pub shots: usize,
    /// Chosen learning rate.
    pub learning_rate: f64,
    /// Chosen number of steps, the same for all models.
    pub steps: u64,
    /// Validation examples of the source that each try was judged by, over its episodes.
    pub source_examples: usize,
    /// Everything that was tried.
    pub trials: Vec<Trial>,
}

/// Chooses from the trials of each model. The number of steps is the one with the best mean over the models, each with its
/// best learning rate; of equals the fewest steps and the lowest rate.
pub(super) fn choose(
    models: &[&ModelId],
    (part, shots): (TrainedPart, usize),
    steps: &[u64],
    (trials, examples): (Vec<Vec<Trial>>, &[usize]),
) -> Vec<Choice> {
    let best = |trials: &[Trial], steps: u64| {
        let at = trials.iter().filter(|trial| trial.steps == steps);
        at.fold(None, |best: Option<Trial>, trial| match best {
            Some(best) if best.accuracy >= trial.accuracy => Some(best),
            _ => Some(trial.clone()),
        })
    };
    let sum = |steps: u64| -> f64 {
        let found = trials.iter().filter_map(|trials| best(trials, steps));
        found.map(|trial| trial.accuracy).sum()
    };
    let chosen = steps
        .iter()
        .copied()
        .fold(None, |chosen: Option<u64>, steps| match chosen {
            Some(chosen) if sum(chosen) >= sum(steps) => Some(chosen),
            _ => Some(steps),
        });
    let steps = chosen.unwrap_or_default();
    let tried = trials.into_iter().zip(examples);
    let choices = models
        .iter()
        .zip(tried)
        .map(|(model, (trials, &examples))| Choice {
            model: model.name.clone(),
            part,
            shots,
            learning_rate: best(&trials, steps).map_or(0.0, |trial| trial.learning_rate),
            steps,
            source_examples: examples,
            trials,
        });
    choices.collect()
}

/// An episode of the source: examples to adapt to, and examples to judge by.
pub(super) struct SourceEpisode {
    pub(super) support: SharedDataset,
    pub(super) query: Arc<dyn Dataset>,
}

impl SourceEpisode {
    /// Draws `ways` of the classes that have validation examples (or all, if there are fewer) and `shots` training examples
    /// of each.
    ///
    /// # Errors
    /// A class has fewer training examples, or an example cannot be read.
    pub(super) fn draw(
        train: &SharedDataset,
        validation: &SharedDataset,
        (ways, shots): (usize, usize),
        seed: u64,
    ) -> Result<Self> {
        let mut found = BTreeSet::new();
        for index in 0..validation.len() {
            let class = match validation.class(index) {
                Some(class) => Some(class),
                None => validation.get(index)?.target.class(),
            };
            found.extend(class);
        }
        let mut classes: Vec<usize> = found.into_iter().collect();
        Stream::new(seed, "adapt classes", &[]).shuffle(&mut classes);
        classes.truncate(ways);
        classes.sort_unstable();
        let classes: Vec<ClassChoice> = classes.into_iter().map(ClassChoice::from).collect();
        let of = |part: &SharedDataset| ClassSubset::new(part.clone(), &classes);
        let train: SharedDataset = Arc::new(of(train)?);
        let episode = Episode::draw(train.as_ref(), shots, seed)?;
        Ok(Self {
            support: Arc::new(episode.of(train)?),
            query: Arc::new(of(validation)?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nac_data::testing::InMemory;

    fn trial(learning_rate: f64, steps: u64, accuracy: f64) -> Trial {
        Trial {
            learning_rate,
            steps,
            accuracy,
        }
    }

    #[test]
    fn steps_are_chosen_together_and_rates_apart() {
        let id = |name: &str| ModelId {
            name: name.into(),
            run: name.into(),
            kind: "nac".into(),
            checkpoint: String::new(),
        };
        let first = vec![
            trial(0.1, 5, 0.5),
            trial(0.1, 9, 0.9),
            trial(0.2, 5, 0.8),
            trial(0.2, 9, 0.1),
        ];
        let second = vec![
            trial(0.1, 5, 0.7),
            trial(0.1, 9, 0.3),
            trial(0.2, 5, 0.7),
            trial(0.2, 9, 0.4),
        ];
        let models = [id("a"), id("b")];
        let both: Vec<&ModelId> = models.iter().collect();
        let of = (TrainedPart::Head, 1);
        let found = choose(&both, of, &[5, 9], (vec![first.clone(), second], &[7, 8]));
        // 0.8 + 0.7 after 5 steps, 0.9 + 0.4 after 9; the lower rate of equals.
        assert_eq!(
            found
                .iter()
                .map(|c| (c.steps, c.learning_rate))
                .collect::<Vec<_>>(),
            [(5, 0.2), (5, 0.1)]
        );
        assert_eq!(found[1].source_examples, 8);
        let alone = choose(&both[..1], of, &[5, 9], (vec![first], &[7]));
        assert_eq!((alone[0].steps, alone[0].learning_rate), (9, 0.1));
    }

    #[test]
    fn source_episodes_have_the_ways_of_the_target_and_other_examples_to_judge_by() {
        let part = |count| -> SharedDataset { Arc::new(InMemory::images(count, 1, 2, 2, 5)) };
        let (train, validation) = (part(50), part(25));
        for (ways, expected) in [(3, 3), (5, 5), (9, 5)] {
            let episode = SourceEpisode::draw(&train, &validation, (ways, 2), 7).unwrap();
            assert_eq!(episode.support.len(), expected * 2);
            assert_eq!(episode.query.len(), expected * 5);
            assert_eq!(episode.query.info().output, episode.support.info().output);
        }
        // Two of the five classes have validation examples.
        let few = part(2);
        let episode = SourceEpisode::draw(&train, &few, (3, 2), 7).unwrap();
        assert_eq!((episode.support.len(), episode.query.len()), (4, 2));
        assert!(SourceEpisode::draw(&train, &validation, (3, 99), 7).is_err());
    }
}
