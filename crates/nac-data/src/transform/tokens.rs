//! Random changes of sequences: [`TokenCrop`], [`TokenDropout`].

use super::{Draws, Transform};
use crate::{Buffer, DataError, DatasetInfo, Example, InputKind, Values};

/// Keeps a random window of longer sequences, each equally likely.
#[derive(Clone, Copy, Debug)]
pub struct TokenCrop {
    len: usize,
}

/// Removes each symbol with a probability; at least one stays. Of texts read as bytes these are bytes.
#[derive(Clone, Copy, Debug)]
pub struct TokenDropout {
    probability: f64,
}

impl TokenCrop {
    /// Length of the window.
    ///
    /// # Errors
    /// [`DataError::Config`] for 0.
    pub fn new(len: usize) -> Result<Self, DataError> {
        if len == 0 {
            return Err(wrong("token_crop: the length must be at least 1".into()));
        }
        Ok(Self { len })
    }
}

impl TokenDropout {
    /// Probability.
    ///
    /// # Errors
    /// [`DataError::Config`] unless it is at least 0 and below 1.
    pub fn new(probability: f64) -> Result<Self, DataError> {
        if (0.0..1.0).contains(&probability) {
            return Ok(Self { probability });
        }
        let reason =
            format!("token_dropout: probability {probability} must be at least 0 and below 1");
        Err(wrong(reason))
    }
}

fn wrong(reason: String) -> DataError {
    DataError::Config {
        field: "data.augment".into(),
        reason,
    }
}

fn check(transform: &str, info: &DatasetInfo) -> Result<(), DataError> {
    if info
        .inputs
        .iter()
        .any(|(_, kind)| matches!(kind, InputKind::Tokens { .. }))
    {
        return Ok(());
    }
    let name = &info.name;
    Err(wrong(format!(
        "`{transform}` needs a sequence; data set `{name}` has none"
    )))
}

/// Replaces every sequence by what `change` makes of it.
fn for_each(
    transform: &str,
    example: &mut Example,
    mut change: impl FnMut(&[i64]) -> Vec<i64>,
) -> Result<(), DataError> {
    let mut changed = false;
    for (_, buffer) in &mut example.inputs {
        if let (&[length], Values::I64(ids)) = (buffer.shape(), buffer.values())
            && length > 0
        {
            *buffer = Buffer::tokens(change(ids));
            changed = true;
        }
    }
    if changed {
        return Ok(());
    }
    let found = example
        .inputs
        .iter()
        .map(|(name, b)| format!("`{name}` as {}", b.describe()));
    Err(DataError::Shape {
        operation: format!("transform `{transform}`"),
        expected: "an input i64 [length] with at least one symbol".into(),
        found: found.collect::<Vec<_>>().join(", "),
    })
}

impl Transform for TokenCrop {
    fn name(&self) -> &str {
        "token_crop"
    }

    fn check(&self, info: &DatasetInfo) -> Result<(), DataError> {
        check(self.name(), info)
    }

    fn apply(&self, example: &mut Example, draws: &Draws) -> Result<(), DataError> {
        let mut stream = draws.stream(self.name());
        for_each(self.name(), example, |ids| {
            let places = ids.len().saturating_sub(self.len) + 1;
            let start = stream.below(places as u64) as usize;
            ids.iter().skip(start).take(self.len).copied().collect()
        })
    }
}

impl Transform for TokenDropout {
    fn name(&self) -> &str {
        "token_dropout"
    }

    fn check(&self, info: &DatasetInfo) -> Result<(), DataError> {
        check(self.name(), info)
    }

    fn apply(&self, example: &mut Example, draws: &Draws) -> Result<(), DataError> {
        let mut stream = draws.stream(self.name());
        for_each(self.name(), example, |ids| {
            let survivor = stream.below(ids.len() as u64) as usize;
            let kept = |at: usize| stream.uniform() >= self.probability || at == survivor;
            let kept: Vec<bool> = (0..ids.len()).map(kept).collect();
            ids.iter()
                .zip(kept)
                .filter(|(_, kept)| *kept)
                .map(|(&id, _)| id)
                .collect()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Target;

    fn changed(transform: &dyn Transform, index: usize, ids: &[i64]) -> Vec<i64> {
        let mut example = Example::new("tokens", Buffer::tokens(ids.to_vec()), Target::Class(0));
        let draws = Draws {
            seed: 0,
            epoch: 0,
            index,
            repeat: 0,
        };
        transform.apply(&mut example, &draws).unwrap();
        let Values::I64(ids) = example.inputs[0].1.values() else {
            panic!("type changed")
        };
        ids.clone()
    }

    #[test]
    fn every_window_occurs_and_short_sequences_stay() {
        let crop = TokenCrop::new(3).unwrap();
        let mut starts = std::collections::BTreeSet::new();
        for index in 0..100 {
            let found = changed(&crop, index, &[1, 2, 3, 4, 5]);
            assert_eq!(found, [found[0], found[0] + 1, found[0] + 2]);
            starts.insert(found[0]);
        }
        assert_eq!(Vec::from_iter(starts), [1, 2, 3]);
        assert_eq!(changed(&crop, 0, &[7, 8]), [7, 8]);
        assert!(TokenCrop::new(0).is_err());
    }

    #[test]
    fn a_share_of_the_symbols_goes_and_the_order_stays() {
        let dropout = TokenDropout::new(0.3).unwrap();
        let ids: Vec<i64> = (0..2000).collect();
        let found = changed(&dropout, 0, &ids);
        assert!((1300..1500).contains(&found.len()), "{}", found.len());
        assert!(found.is_sorted());
        let most = TokenDropout::new(0.99).unwrap();
        assert!((0..200).all(|index| !changed(&most, index, &[1, 2]).is_empty()));
        assert!(TokenDropout::new(1.0).is_err() && TokenDropout::new(-0.1).is_err());
    }
}
