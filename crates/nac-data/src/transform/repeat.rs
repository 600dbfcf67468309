//! [`Repeat`]: several versions of each example in a batch.

use super::{Draws, Transform};
use crate::{DataError, DatasetInfo, Example};

/// Repeated augmentation (Hoffer et al., 2020): an epoch takes a random part of the examples, `times` versions of each
/// side by side, each changed in its own way. It has as many batches as without, so that schedules stay what they are.
#[derive(Clone, Copy, Debug)]
pub struct Repeat {
    times: usize,
}

impl Repeat {
    /// Greatest number of versions.
    pub const MOST: usize = 64;

    /// That many versions of each example.
    ///
    /// # Errors
    /// [`DataError::Config`] for 0 or more than [`Self::MOST`].
    pub fn new(times: usize) -> Result<Self, DataError> {
        if (1..=Self::MOST).contains(&times) {
            return Ok(Self { times });
        }
        Err(DataError::Config {
            field: "data.augment".into(),
            reason: format!("repeat: {times} versions, must be 1 to {}", Self::MOST),
        })
    }
}

impl Transform for Repeat {
    fn name(&self) -> &str {
        "repeat"
    }

    fn check(&self, _: &DatasetInfo) -> Result<(), DataError> {
        Ok(())
    }

    fn apply(&self, _: &mut Example, _: &Draws) -> Result<(), DataError> {
        Ok(())
    }

    fn repeats(&self) -> usize {
        self.times
    }
}
