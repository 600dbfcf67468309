//! The state of a metric: sums over examples, one row of them for each group of examples.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Sums that a metric is a function of.
///
/// Every metric keeps its state in this form, so that a state can be saved with a checkpoint and the states of several
/// batches, or of several processes, can be added.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sums(BTreeMap<u64, Vec<f64>>);

impl Sums {
    /// Adds `values` to the sums that all examples share.
    pub fn add(&mut self, values: &[f64]) {
        self.add_to_group(0, values);
    }

    /// Adds `values` to the sums of a group of examples.
    pub fn add_to_group(&mut self, group: u64, values: &[f64]) {
        let sums = self.0.entry(group).or_default();
        if sums.len() < values.len() {
            sums.resize(values.len(), 0.0);
        }
        for (sum, value) in sums.iter_mut().zip(values) {
            *sum += value;
        }
    }

    /// Adds the sums of other examples.
    pub fn merge(&mut self, other: &Self) {
        for (&group, values) in &other.0 {
            self.add_to_group(group, values);
        }
    }

    /// The sums that all examples share, as many as were added at once; empty before the first.
    pub fn total(&self) -> &[f64] {
        self.0.get(&0).map_or(&[], Vec::as_slice)
    }

    /// The sums of each group.
    pub fn groups(&self) -> impl ExactSizeIterator<Item = &[f64]> {
        self.0.values().map(Vec::as_slice)
    }

    /// Appends these sums to `words`, for [`from_words`](Self::from_words).
    pub(crate) fn to_words(&self, words: &mut Vec<u64>) {
        words.push(self.0.len() as u64);
        for (&group, values) in &self.0 {
            words.extend([group, values.len() as u64]);
            words.extend(values.iter().map(|value| value.to_bits()));
        }
    }

    /// Takes sums from the front of `words`; none if they do not hold any.
    pub(crate) fn from_words(words: &mut impl Iterator<Item = u64>) -> Option<Self> {
        let mut sums = BTreeMap::new();
        for _ in 0..words.next()? {
            let (group, count) = (words.next()?, words.next()?);
            let values: Option<Vec<f64>> = (0..count)
                .map(|_| words.next().map(f64::from_bits))
                .collect();
            sums.insert(group, values?);
        }
        Some(Self(sums))
    }

    /// First of the shared sums divided by the second; 0 without examples.
    pub fn ratio(&self) -> f64 {
        match self.total() {
            &[sum, count, ..] if count > 0.0 => sum / count,
            _ => 0.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merged_sums_are_those_of_all_examples_and_survive_json() {
        let (mut all, mut first, mut second) = (Sums::default(), Sums::default(), Sums::default());
        first.add(&[1.0, 2.0]);
        first.add_to_group(7, &[0.1]);
        second.add(&[0.5, 2.0]);
        second.add_to_group(9, &[0.3]);
        second.add_to_group(7, &[0.2]);
        for part in [&first, &second] {
            all.merge(part);
        }
        assert_eq!(all.total(), [1.5, 4.0]);
        assert_eq!(all.ratio(), 0.375);
        let groups: Vec<&[f64]> = all.groups().skip(1).collect();
        assert_eq!(groups, [&[0.1 + 0.2][..], &[0.3]]);
        let text = serde_json::to_string(&all).unwrap();
        assert_eq!(serde_json::from_str::<Sums>(&text).unwrap(), all);
        let mut words = Vec::new();
        all.to_words(&mut words);
        words.push(5);
        let mut rest = words.iter().copied();
        assert_eq!(Sums::from_words(&mut rest), Some(all));
        assert_eq!(rest.next(), Some(5));
        assert_eq!(Sums::from_words(&mut words[..3].iter().copied()), None);
        assert_eq!(Sums::default().ratio(), 0.0);
    }
}
