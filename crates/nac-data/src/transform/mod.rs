//! Random changes of training examples.
//!
//! Each transform draws from its own named stream for each example, so changing one never
//! shifts the draws of another, and results do not depend on the number of worker threads.
//!
//! | text in `data.augment` | transform |
//! |---|---|
//! | `horizontal_flip` | [`HorizontalFlip`] |
//! | `random_crop:4` | [`RandomCrop`] with 4 pixels of padding |

mod horizontal_flip;
mod image;
mod random_crop;
mod specs;

use std::sync::Arc;

pub use horizontal_flip::HorizontalFlip;
pub use random_crop::RandomCrop;
pub use specs::{NAMES, from_specs};

use crate::random::Stream;
use crate::{DataError, DatasetInfo, Example};

/// A change of one example.
pub trait Transform: Send + Sync {
    /// Name; also the name of the random stream.
    fn name(&self) -> &str;

    /// Checks that the examples of a data set have the form this transform needs.
    ///
    /// # Errors
    /// [`DataError::Config`] naming the transform and the data set.
    fn check(&self, info: &DatasetInfo) -> Result<(), DataError>;

    /// Changes the example in place.
    ///
    /// # Errors
    /// [`DataError::Shape`] if the example does not have the form of [`check`](Self::check).
    fn apply(&self, example: &mut Example, draws: &Draws) -> Result<(), DataError>;
}

/// Source of the random numbers for one example in one epoch.
#[derive(Clone, Copy, Debug)]
pub struct Draws {
    /// Seed of the loader.
    pub seed: u64,
    /// Epoch.
    pub epoch: u64,
    /// Index of the example within its data set.
    pub index: usize,
}

impl Draws {
    /// The stream of a name.
    #[must_use]
    pub fn stream(&self, name: &str) -> Stream {
        Stream::new(self.seed, name, &[self.epoch, self.index as u64])
    }
}

/// Several transforms one after another.
#[derive(Clone)]
pub struct Pipeline(Vec<Arc<dyn Transform>>);

impl Pipeline {
    /// Transforms in the order in which they are applied.
    #[must_use]
    pub fn new(steps: Vec<Arc<dyn Transform>>) -> Self {
        Self(steps)
    }
}

impl Transform for Pipeline {
    fn name(&self) -> &str {
        "pipeline"
    }

    fn check(&self, info: &DatasetInfo) -> Result<(), DataError> {
        self.0.iter().try_for_each(|step| step.check(info))
    }

    fn apply(&self, example: &mut Example, draws: &Draws) -> Result<(), DataError> {
        self.0
            .iter()
            .try_for_each(|step| step.apply(example, draws))
    }
}
