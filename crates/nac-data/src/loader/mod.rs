//! [`Loader`]: order → examples → transform → batches, read ahead by worker threads.
//!
//! The order of an epoch and the random changes of an example depend only on the seed, the epoch
//! and the index. Workers share the batches among them (worker `w` of `W` makes batches
//! `w, w + W, …`), so their number changes only the speed.

mod collate;
mod order;
mod prefetch;
mod share;

use std::sync::Arc;

pub use collate::collate;
pub use prefetch::EpochIter;
pub use share::Share;

use crate::transform::{BatchDraws, Draws, Transform};
use crate::{Batch, DataError, Dataset};

/// How a [`Loader`] makes batches.
#[derive(Clone)]
pub struct LoaderOptions {
    /// Examples in a batch; default 32.
    pub batch_size: usize,
    /// A new random order every epoch, else the order of the data set; default false.
    pub shuffle: bool,
    /// Leave out a last batch that is not full; default false.
    pub drop_last: bool,
    /// Threads that read ahead; 0 reads in the caller's thread. Default 1.
    pub workers: usize,
    /// Seed of order and transforms; default 0.
    pub seed: u64,
    /// Random change of each example; default none.
    pub transform: Option<Arc<dyn Transform>>,
    /// The part of each batch that is made; default all of it. Every share of a batch has at least one example if the batch
    /// has as many as there are processes.
    pub share: Share,
}

impl Default for LoaderOptions {
    fn default() -> Self {
        Self {
            batch_size: 32,
            shuffle: false,
            drop_last: false,
            workers: 1,
            seed: 0,
            transform: None,
            share: Share::default(),
        }
    }
}

/// Makes the batches of a data set, epoch by epoch.
#[derive(Clone)]
pub struct Loader {
    dataset: Arc<dyn Dataset>,
    options: LoaderOptions,
}

impl Loader {
    /// Greatest number of worker threads.
    pub const MAX_WORKERS: usize = 256;

    /// Checks the options.
    ///
    /// # Errors
    /// [`DataError::Config`] for a batch size of 0, more workers than [`Self::MAX_WORKERS`], an
    /// empty data set, or one that is smaller than a batch with `drop_last`; errors of
    /// [`Transform::check`].
    pub fn new(dataset: Arc<dyn Dataset>, options: LoaderOptions) -> Result<Self, DataError> {
        let wrong = |field: &str, reason: String| {
            Err(DataError::Config {
                field: field.into(),
                reason,
            })
        };
        if options.batch_size == 0 {
            return wrong("batch_size", "must be at least 1".into());
        }
        if options.workers > Self::MAX_WORKERS {
            return wrong(
                "workers",
                format!(
                    "{} is above the limit of {}",
                    options.workers,
                    Self::MAX_WORKERS
                ),
            );
        }
        if let Some(transform) = &options.transform {
            transform.check(dataset.info())?;
        }
        let loader = Self { dataset, options };
        if loader.batches_per_epoch() == 0 {
            let (len, name) = (loader.dataset.len(), &loader.dataset.info().name);
            return wrong(
                "batch_size",
                format!(
                    "data set `{name}` with {len} examples gives no batch of {}",
                    loader.options.batch_size
                ),
            );
        }
        Ok(loader)
    }

    /// The data set.
    #[must_use]
    pub fn dataset(&self) -> &Arc<dyn Dataset> {
        &self.dataset
    }

    /// The options.
    #[must_use]
    pub fn options(&self) -> &LoaderOptions {
        &self.options
    }

    /// Number of batches of every epoch.
    #[must_use]
    pub fn batches_per_epoch(&self) -> usize {
        let (len, size) = (self.dataset.len(), self.options.batch_size);
        if self.options.drop_last {
            len / size
        } else {
            len.div_ceil(size)
        }
    }

    /// The batches of an epoch from batch `skip_batches` on, for example to resume a run: the
    /// batches that follow are the same as without skipping, and the skipped ones are not read.
    ///
    /// The iterator ends after the first error.
    #[must_use]
    pub fn epoch(&self, epoch: u64, skip_batches: usize) -> EpochIter {
        let options = &self.options;
        let mut order =
            order::epoch_order(self.dataset.len(), options.shuffle, options.seed, epoch);
        let repeats = options.transform.as_ref().map_or(1, |t| t.repeats());
        order::repeat(&mut order, repeats);
        let plan = prefetch::Plan {
            order,
            batch_size: self.options.batch_size,
            batches: self.batches_per_epoch(),
        };
        let loader = self.clone();
        let make = move |start: usize, indices: &[usize]| loader.batch(epoch, start, indices);
        EpochIter::new(plan, skip_batches, self.options.workers, Arc::new(make))
    }

    /// This process's share of the examples of the given indices, which are `start..` of the epoch's order.
    fn batch(&self, epoch: u64, start: usize, indices: &[usize]) -> Result<Batch, DataError> {
        let share = self.options.share.of(indices.len());
        let Some(transform) = &self.options.transform else {
            let examples = indices[share.clone()].iter();
            let examples = examples.map(|&index| self.dataset.get(index));
            return collate(
                self.dataset.info(),
                examples.collect::<Result<_, _>>()?,
                &indices[share],
            );
        };
        if !transform.changes_batches() {
            return self.changed(epoch, start + share.start, &indices[share], transform);
        }
        // Each example may be mixed with any other, so that every process makes all of them.
        let mut batch = self.changed(epoch, start, indices, transform)?;
        let draws = BatchDraws {
            seed: self.options.seed,
            epoch,
            batch: start / self.options.batch_size,
        };
        transform.apply_batch(&mut batch, &draws)?;
        share::rows(batch, share)
    }

    /// Reads, changes and stacks the examples of the given indices, which are `start..` of the epoch's order.
    fn changed(
        &self,
        epoch: u64,
        start: usize,
        indices: &[usize],
        transform: &Arc<dyn Transform>,
    ) -> Result<Batch, DataError> {
        let (info, seed) = (self.dataset.info(), self.options.seed);
        let (repeats, originals) = (transform.repeats().max(1), transform.takes_originals());
        let mut examples = Vec::with_capacity(indices.len());
        let mut last: Option<(usize, crate::Example)> = None;
        for (offset, &index) in indices.iter().enumerate() {
            let read = || match originals {
                true => self.dataset.get_original(index),
                false => self.dataset.get(index),
            };
            // Versions of an example are side by side: it is read once.
            let mut example = match &last {
                Some((known, example)) if *known == index => example.clone(),
                _ => read()?,
            };
            let repeat = (start + offset) % repeats;
            if repeats > 1 {
                last = Some((index, example.clone()));
            }
            let draws = Draws {
                seed,
                epoch,
                index,
                repeat,
            };
            transform.apply(&mut example, &draws)?;
            examples.push(example);
        }
        collate(info, examples, indices)
    }
}
