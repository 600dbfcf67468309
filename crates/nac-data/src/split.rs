//! The parts of a data set, and validation sets carved from the training examples.

use std::sync::Arc;

use crate::random::Stream;
use crate::{DataError, Dataset, DatasetInfo, Example, SharedDataset};

/// The parts of a data set.
#[derive(Clone)]
pub struct Splits {
    /// Examples to learn from.
    pub train: Arc<dyn Dataset>,
    /// Examples to choose by, if the data set defines such a part itself.
    pub validation: Option<Arc<dyn Dataset>>,
    /// Examples for the last evaluation only.
    pub test: Arc<dyn Dataset>,
}

impl Splits {
    /// The data set's own validation part, or else `count` examples carved from train with `seed`
    /// by [`held_out`]. Returns `(train, validation)`; test is not touched.
    ///
    /// # Errors
    /// As [`held_out`].
    pub fn train_and_validation(
        &self,
        count: usize,
        seed: u64,
    ) -> Result<(SharedDataset, SharedDataset), DataError> {
        if let Some(validation) = &self.validation {
            return Ok((self.train.clone(), validation.clone()));
        }
        let (train, validation) = held_out(self.train.clone(), count, seed)?;
        Ok((Arc::new(train), Arc::new(validation)))
    }
}

impl std::fmt::Debug for Splits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Splits")
            .field("info", self.train.info())
            .field("train", &self.train.len())
            .field("validation", &self.validation.as_ref().map(|v| v.len()))
            .field("test", &self.test.len())
            .finish()
    }
}

/// Some of the examples of a data set, in a given order.
#[derive(Clone)]
pub struct Subset {
    dataset: Arc<dyn Dataset>,
    indices: Vec<usize>,
}

impl Subset {
    /// The examples `indices` of `dataset`.
    ///
    /// # Errors
    /// [`DataError::Index`] if an index is beyond the end.
    pub fn new(dataset: Arc<dyn Dataset>, indices: Vec<usize>) -> Result<Self, DataError> {
        indices.iter().try_for_each(|&index| dataset.check(index))?;
        Ok(Self { dataset, indices })
    }

    /// The first `count` examples (all, if there are fewer).
    #[must_use]
    pub fn first(dataset: Arc<dyn Dataset>, count: usize) -> Self {
        let indices = (0..dataset.len().min(count)).collect();
        Self { dataset, indices }
    }

    /// Index within the whole data set of each example.
    #[must_use]
    pub fn indices(&self) -> &[usize] {
        &self.indices
    }
}

impl Dataset for Subset {
    fn info(&self) -> &DatasetInfo {
        self.dataset.info()
    }

    fn len(&self) -> usize {
        self.indices.len()
    }

    fn get(&self, index: usize) -> Result<Example, DataError> {
        self.check(index)?;
        self.dataset.get(self.indices[index])
    }

    fn get_original(&self, index: usize) -> Result<Example, DataError> {
        self.check(index)?;
        self.dataset.get_original(self.indices[index])
    }

    fn class(&self, index: usize) -> Option<usize> {
        self.dataset.class(*self.indices.get(index)?)
    }

    fn group(&self, index: usize) -> Option<&str> {
        self.dataset.group(*self.indices.get(index)?)
    }

    fn unit(&self, index: usize) -> Option<u64> {
        self.dataset.unit(*self.indices.get(index)?)
    }

    fn answers(&self) -> Option<&[usize]> {
        self.dataset.answers()
    }

    fn file(&self, index: usize) -> Option<&std::path::Path> {
        self.dataset.file(*self.indices.get(index)?)
    }
}

/// Splits `dataset` into `(train, validation)` with `count` examples in validation.
///
/// If the classes are known without reading ([`Dataset::class`]), each class gives its share
/// (largest remainders); else the choice is uniform. Both parts keep the order of the data set.
///
/// Examples of one [`Dataset::unit`] stay together: then whole units are drawn until there are at least `count` examples.
///
/// # Errors
/// [`DataError::Config`] unless `0 < count < dataset.len()`, or if all examples are of one unit.
pub fn held_out(
    dataset: Arc<dyn Dataset>,
    count: usize,
    seed: u64,
) -> Result<(Subset, Subset), DataError> {
    let len = dataset.len();
    if count == 0 || count >= len {
        return Err(DataError::Config {
            field: "held-out count".into(),
            reason: format!(
                "{count} of the {len} examples of `{}` cannot be held out; it must be at least 1 \
                 and leave at least 1",
                dataset.info().name
            ),
        });
    }
    let mut stream = Stream::new(seed, "held out", &[]);
    let held = match units(dataset.as_ref()) {
        Some(units) => choose_units(units, len, count, &mut stream),
        None => choose(&groups(dataset.as_ref()), len, count, &mut stream),
    };
    if !held.contains(&true) {
        return Err(DataError::Config {
            field: "held-out count".into(),
            reason: format!(
                "all examples of `{}` are views of one thing",
                dataset.info().name
            ),
        });
    }
    let (validation, train) = (0..len).partition(|&index| held[index]);
    let train = Subset {
        dataset: dataset.clone(),
        indices: train,
    };
    Ok((
        train,
        Subset {
            dataset,
            indices: validation,
        },
    ))
}

/// Indices by unit, if the units are known without reading.
fn units(dataset: &dyn Dataset) -> Option<Vec<Vec<usize>>> {
    let mut units = std::collections::BTreeMap::<u64, Vec<usize>>::new();
    for index in 0..dataset.len() {
        units.entry(dataset.unit(index)?).or_default().push(index);
    }
    Some(units.into_values().collect())
}

/// Marks at least `count` of `len` indices, whole units; one unit is left.
fn choose_units(
    mut units: Vec<Vec<usize>>,
    len: usize,
    count: usize,
    stream: &mut Stream,
) -> Vec<bool> {
    stream.shuffle(&mut units);
    units.pop();
    let (mut held, mut marked) = (vec![false; len], 0);
    for unit in units {
        if marked < count {
            marked += unit.len();
            unit.into_iter().for_each(|index| held[index] = true);
        }
    }
    held
}

/// Indices by class if there are classes that are known without reading, else all in one group.
fn groups(dataset: &dyn Dataset) -> Vec<Vec<usize>> {
    let classes: Option<Vec<usize>> = (0..dataset.len()).map(|i| dataset.class(i)).collect();
    let Some(classes) = classes else {
        return vec![(0..dataset.len()).collect()];
    };
    let mut groups = std::collections::BTreeMap::<usize, Vec<usize>>::new();
    for (index, class) in classes.into_iter().enumerate() {
        groups.entry(class).or_default().push(index);
    }
    groups.into_values().collect()
}

/// Marks `count` of `len` indices, each group in proportion (largest remainders, first wins ties).
pub(crate) fn choose(
    groups: &[Vec<usize>],
    len: usize,
    count: usize,
    stream: &mut Stream,
) -> Vec<bool> {
    let exact = |group: &Vec<usize>| group.len() as u128 * count as u128;
    let mut quota: Vec<usize> = groups
        .iter()
        .map(|g| (exact(g) / len as u128) as usize)
        .collect();
    let mut by_remainder: Vec<usize> = (0..groups.len()).collect();
    by_remainder.sort_by_key(|&g| std::cmp::Reverse(exact(&groups[g]) % len as u128));
    let missing = count - quota.iter().sum::<usize>();
    for &group in by_remainder.iter().take(missing) {
        quota[group] += 1;
    }
    let mut held = vec![false; len];
    for (group, quota) in groups.iter().zip(quota) {
        let mut order = group.clone();
        stream.shuffle(&mut order);
        order[..quota].iter().for_each(|&index| held[index] = true);
    }
    held
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::InMemory;

    #[test]
    fn parts_are_disjoint_complete_and_stratified() {
        // 90 examples of classes 0,1,2,0,1,2,…
        let dataset: Arc<dyn Dataset> = Arc::new(InMemory::images(90, 1, 2, 2, 3));
        let (train, validation) = held_out(dataset.clone(), 10, 7).unwrap();
        let mut all: Vec<usize> = train.indices().to_vec();
        all.extend(validation.indices());
        all.sort_unstable();
        assert_eq!(all, (0..90).collect::<Vec<_>>());
        let mut counts = [0; 3];
        (0..validation.len()).for_each(|i| counts[validation.class(i).unwrap()] += 1);
        counts.sort_unstable();
        assert_eq!(counts, [3, 3, 4]);
        let again = held_out(dataset.clone(), 10, 7).unwrap().1;
        assert_eq!(again.indices(), validation.indices());
        let other = held_out(dataset, 10, 8).unwrap().1;
        assert_ne!(other.indices(), validation.indices());
    }

    #[test]
    fn without_known_classes_the_count_still_holds() {
        let dataset = Arc::new(InMemory::images(20, 1, 2, 2, 3).without_known_classes());
        let (train, validation) = held_out(dataset, 7, 0).unwrap();
        assert_eq!((train.len(), validation.len()), (13, 7));
    }

    #[test]
    fn counts_that_leave_nothing_are_errors() {
        for count in [0, 20, 21] {
            let dataset = Arc::new(InMemory::images(20, 1, 2, 2, 3));
            let Err(error) = held_out(dataset, count, 0) else {
                panic!("{count} accepted")
            };
            assert!(error.to_string().contains("20 examples"), "{error}");
        }
        let dataset = Arc::new(InMemory::images(3, 1, 2, 2, 3));
        assert!(Subset::new(dataset.clone(), vec![0, 3]).is_err());
        let first = Subset::first(dataset.clone(), 2);
        assert_eq!(first.get(1).unwrap(), dataset.get(1).unwrap());
        assert!(first.get(2).is_err());
        assert_eq!(Subset::first(dataset, 9).len(), 3);
    }
}
