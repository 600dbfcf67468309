//! [`Episode`]: a few training examples of each class, to learn from these alone.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::random::Stream;
use crate::split::Subset;
use crate::{DataError, Dataset, SharedDataset};

/// Which examples of a training set were drawn, and how: k-shot learning.
///
/// ```
/// use nac_data::{Dataset, Episode, testing::InMemory};
///
/// let train = std::sync::Arc::new(InMemory::images(30, 1, 2, 2, 3));
/// let episode = Episode::draw(train.as_ref(), 4, 7)?;
/// assert_eq!(episode.of(train)?.len(), 3 * 4);
/// # Ok::<(), nac_data::DataError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Episode {
    /// Data set.
    pub dataset: String,
    /// Seed of the draw.
    pub seed: u64,
    /// Examples of each class.
    pub shots: usize,
    /// Indices within the training set, in increasing order.
    pub indices: Vec<usize>,
}

impl Episode {
    /// Draws `shots` examples of each class. A class has its own random stream, so the draw does not depend on the other
    /// classes.
    ///
    /// # Errors
    /// [`DataError::Config`] if there are no shots, a class has fewer examples, or answers are not classes; errors of
    /// reading, where classes are not known without it.
    pub fn draw(train: &dyn Dataset, shots: usize, seed: u64) -> Result<Self, DataError> {
        let refused = |reason: String| DataError::Config {
            field: "data.shots".into(),
            reason,
        };
        let mut groups = BTreeMap::<usize, Vec<usize>>::new();
        for index in 0..train.len() {
            let class = match train.class(index) {
                Some(class) => Some(class),
                None => train.get(index)?.target.class(),
            };
            let class = class.ok_or_else(|| refused("answers are not classes".into()))?;
            groups.entry(class).or_default().push(index);
        }
        let classes = train.info().output.class_count().unwrap_or(0);
        let mut indices = Vec::new();
        for class in 0..classes {
            let mut group = groups.remove(&class).unwrap_or_default();
            if shots == 0 || group.len() < shots {
                let name = train.info().output.class_name(class);
                let found = group.len();
                let reason = format!("{shots} of each class, class `{name}` has {found} examples");
                return Err(refused(reason));
            }
            Stream::new(seed, "episode", &[class as u64]).shuffle(&mut group);
            indices.extend(group.into_iter().take(shots));
        }
        indices.sort_unstable();
        Ok(Self {
            dataset: train.info().name.clone(),
            seed,
            shots,
            indices,
        })
    }

    /// The examples of the episode.
    ///
    /// # Errors
    /// [`DataError::Index`] if `train` is not the set it was drawn from but a smaller one.
    pub fn of(&self, train: SharedDataset) -> Result<Subset, DataError> {
        let train: Arc<dyn Dataset> = train;
        Subset::new(train, self.indices.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::InMemory;

    #[test]
    fn every_class_gives_its_shots_by_the_seed() {
        let train = Arc::new(InMemory::images(90, 1, 2, 2, 3));
        let episode = Episode::draw(train.as_ref(), 5, 1).unwrap();
        let mut counts = [0; 3];
        let drawn = episode.of(train.clone()).unwrap();
        (0..drawn.len()).for_each(|i| counts[drawn.class(i).unwrap()] += 1);
        assert_eq!(counts, [5; 3]);
        assert_eq!(Episode::draw(train.as_ref(), 5, 1).unwrap(), episode);
        assert_ne!(
            Episode::draw(train.as_ref(), 5, 2).unwrap().indices,
            episode.indices
        );
        let unknown = InMemory::images(90, 1, 2, 2, 3).without_known_classes();
        assert_eq!(Episode::draw(&unknown, 5, 1).unwrap(), episode);
        let text = serde_json::to_string(&episode).unwrap();
        assert_eq!(serde_json::from_str::<Episode>(&text).unwrap(), episode);
    }

    #[test]
    fn classes_with_too_few_examples_are_named() {
        let train = InMemory::images(8, 1, 2, 2, 3);
        for shots in [0, 3] {
            let error = Episode::draw(&train, shots, 1).unwrap_err().to_string();
            assert!(error.contains("data.shots"), "{error}");
        }
        assert!(Episode::draw(&InMemory::regression(4, 1, 1), 1, 0).is_err());
    }
}
