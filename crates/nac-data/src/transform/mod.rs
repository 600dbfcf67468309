//! Random changes of training examples.
//!
//! Each transform draws from its own named stream for each example, so changing one never
//! shifts the draws of another, and results do not depend on the number of worker threads.
//!
//! | text in `data.augment` | transform |
//! |---|---|
//! | `horizontal_flip` | [`HorizontalFlip`] |
//! | `random_crop:4` | [`RandomCrop`] with 4 pixels of padding |
//! | `random_resized_crop:0.08-1` | [`RandomResizedCrop`] of 8 % to 100 % of the area |
//! | `colour_jitter:0.4,0.4,0.4,0.1` | [`ColourJitter`] of brightness, contrast, saturation, hue |
//! | `rand_augment:m9-mstd0.5-inc1` | [`RandAugment`] |
//! | `random_erasing:0.25` | [`RandomErasing`] with probability 0.25 |
//! | `mixup:0.8`, `cutmix:1` | [`Mix`]; both together: one of them for each batch |
//! | `repeat:3` | [`Repeat`]: three different versions of each example, side by side |
//! | `rotate:z`, `jitter:0.01,0.05`, `scale:0.8-1.25`, `dropout:0-0.875` | points: [`Rotate`], [`Jitter`], [`Scale`], [`Dropout`] |
//! | `token_crop:256`, `token_dropout:0.1` (or `byte_dropout:0.1`) | sequences: [`TokenCrop`], [`TokenDropout`] |

pub mod affine;
mod arguments;
pub mod colour;
mod colour_jitter;
mod horizontal_flip;
mod image;
pub mod intensity;
pub mod mix;
mod points;
pub mod rand_augment;
mod random_crop;
mod random_erasing;
mod random_resized_crop;
mod repeat;
pub mod resized_crop;
mod specs;
mod tokens;

use std::sync::Arc;

pub use arguments::NAMES;
pub use colour_jitter::ColourJitter;
pub use horizontal_flip::HorizontalFlip;
pub use image::Image;
pub use mix::Mix;
pub use points::{Axis, Dropout, Jitter, Rotate, Scale};
pub use rand_augment::RandAugment;
pub use random_crop::RandomCrop;
pub use random_erasing::RandomErasing;
pub use random_resized_crop::RandomResizedCrop;
pub use repeat::Repeat;
pub use specs::from_specs;
pub use tokens::{TokenCrop, TokenDropout};

use crate::random::Stream;
use crate::{Batch, DataError, DatasetInfo, Example};

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

    /// Changes a whole batch in place, after its examples were changed and stacked. Default: leaves it as it is.
    ///
    /// # Errors
    /// As [`apply`](Self::apply).
    fn apply_batch(&self, batch: &mut Batch, draws: &BatchDraws) -> Result<(), DataError> {
        let _ = (batch, draws);
        Ok(())
    }

    /// Whether [`apply_batch`](Self::apply_batch) does something. Default false: then processes that share a batch make
    /// only their own examples, and it is not called.
    fn changes_batches(&self) -> bool {
        false
    }

    /// How many versions of an example an epoch has; default 1. See [`Repeat`].
    fn repeats(&self) -> usize {
        1
    }

    /// Whether images may come in the size of their files ([`Dataset::get_original`](crate::Dataset::get_original)):
    /// the transform gives them the size of the data set. Default false.
    fn takes_originals(&self) -> bool {
        false
    }
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
    /// Which version of the example, from 0.
    pub repeat: usize,
}

impl Draws {
    /// The stream of a name.
    #[must_use]
    pub fn stream(&self, name: &str) -> Stream {
        let members = [self.epoch, self.index as u64, self.repeat as u64];
        // The first version draws as it would without others.
        let members = if self.repeat == 0 {
            &members[..2]
        } else {
            &members
        };
        Stream::new(self.seed, name, members)
    }
}

/// Source of the random numbers for one batch.
#[derive(Clone, Copy, Debug)]
pub struct BatchDraws {
    /// Seed of the loader.
    pub seed: u64,
    /// Epoch.
    pub epoch: u64,
    /// Number of the batch within the epoch.
    pub batch: usize,
}

impl BatchDraws {
    /// The stream of a name.
    #[must_use]
    pub fn stream(&self, name: &str) -> Stream {
        Stream::new(self.seed, name, &[self.epoch, self.batch as u64])
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

    fn apply_batch(&self, batch: &mut Batch, draws: &BatchDraws) -> Result<(), DataError> {
        self.0
            .iter()
            .try_for_each(|step| step.apply_batch(batch, draws))
    }

    fn changes_batches(&self) -> bool {
        self.0.iter().any(|step| step.changes_batches())
    }

    fn repeats(&self) -> usize {
        self.0.iter().map(|step| step.repeats()).max().unwrap_or(1)
    }

    fn takes_originals(&self) -> bool {
        self.0.iter().any(|step| step.takes_originals())
    }
}
