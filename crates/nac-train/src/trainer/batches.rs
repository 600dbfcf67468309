//! The batches of a run, one epoch after the other.

use nac_data::{Batch, EpochIter, Loader};

use crate::error::{Result, TrainError};

/// Gives batches from any batch of a run on, the same as without skipping.
pub(super) struct Batches {
    next: u64,
    epoch: Option<EpochIter>,
}

impl Batches {
    /// The batches of a run from number `first` on.
    pub(super) fn starting_at(first: u64) -> Self {
        Self {
            next: first,
            epoch: None,
        }
    }

    pub(super) fn next(&mut self, loader: &Loader) -> Result<Batch> {
        let batch = match self.epoch.as_mut().and_then(Iterator::next) {
            Some(batch) => batch?,
            None => self.start_epoch(loader)?,
        };
        self.next += 1;
        Ok(batch)
    }

    /// Opens the epoch of the next batch.
    fn start_epoch(&mut self, loader: &Loader) -> Result<Batch> {
        let per_epoch = loader.batches_per_epoch() as u64;
        let (epoch, skip) = (self.next / per_epoch, self.next % per_epoch);
        let mut batches = loader.epoch(epoch, usize::try_from(skip).unwrap_or(usize::MAX));
        let first = batches.next();
        self.epoch = Some(batches);
        let none = || TrainError::State(format!("epoch {epoch} has no batch {skip}"));
        Ok(first.ok_or_else(none)??)
    }
}
