//! [`EpochIter`]: worker threads that prefetch batches.
//!
//! Worker `w` of `W` makes batches `first + w, first + w + W, …` and sends them through its own
//! channel of bounded length; the iterator reads the channels round-robin. So batches and errors
//! come in order, memory is bounded, and no lock is shared.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use crate::{Batch, DataError};

/// Finished batches that may wait in the channel of one worker.
const AHEAD: usize = 2;

/// Makes the batch of some indices, given where in the order they start.
pub(super) type Make = dyn Fn(usize, &[usize]) -> Result<Batch, DataError> + Send + Sync;

/// Which indices form which batch.
pub(super) struct Plan {
    pub(super) order: Vec<usize>,
    pub(super) batch_size: usize,
    pub(super) batches: usize,
}

impl Plan {
    fn make(&self, make: &Make, batch: usize) -> Result<Batch, DataError> {
        let start = batch * self.batch_size;
        let end = (start + self.batch_size).min(self.order.len());
        make(start, &self.order[start..end])
    }
}

/// The batches of one epoch, in order. Dropping it early stops and joins the workers.
pub struct EpochIter {
    plan: Arc<Plan>,
    make: Arc<Make>,
    first: usize,
    next: usize,
    channels: Vec<Receiver<Result<Batch, DataError>>>,
    workers: Vec<JoinHandle<()>>,
}

impl EpochIter {
    pub(super) fn new(plan: Plan, skip: usize, workers: usize, make: Arc<Make>) -> Self {
        let plan = Arc::new(plan);
        let first = skip.min(plan.batches);
        let workers = workers.min(plan.batches - first);
        let mut iter = Self {
            plan,
            make,
            first,
            next: first,
            channels: Vec::new(),
            workers: Vec::new(),
        };
        for worker in 0..workers {
            let (sender, receiver) = sync_channel(AHEAD);
            let (plan, make) = (iter.plan.clone(), iter.make.clone());
            let work = move || produce(&plan, &*make, first + worker, workers, &sender);
            let name = format!("nac-data loader {worker}");
            match std::thread::Builder::new().name(name).spawn(work) {
                Ok(handle) => {
                    iter.workers.push(handle);
                    iter.channels.push(receiver);
                }
                // No more threads are available: make every batch in the caller's thread.
                Err(_) => {
                    iter.stop();
                    break;
                }
            }
        }
        iter
    }

    /// Number of the batch that comes next, within the epoch.
    #[must_use]
    pub fn position(&self) -> usize {
        self.next
    }

    fn stop(&mut self) {
        // Without a receiver, `send` fails and the workers end after their current batch.
        self.channels.clear();
        for worker in self.workers.drain(..) {
            // A panic was already reported as an error by `next`.
            let _ = worker.join();
        }
    }
}

fn produce(
    plan: &Plan,
    make: &Make,
    first: usize,
    step: usize,
    sender: &SyncSender<Result<Batch, DataError>>,
) {
    for batch in (first..plan.batches).step_by(step) {
        let made = plan.make(make, batch);
        let failed = made.is_err();
        if sender.send(made).is_err() || failed {
            return;
        }
    }
}

impl Iterator for EpochIter {
    type Item = Result<Batch, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next >= self.plan.batches {
            return None;
        }
        let batch = self.next;
        self.next += 1;
        let made = if self.channels.is_empty() {
            self.plan.make(&*self.make, batch)
        } else {
            let channel = &self.channels[(batch - self.first) % self.channels.len()];
            channel.recv().unwrap_or(Err(DataError::Worker { batch }))
        };
        if made.is_err() {
            self.next = self.plan.batches;
            self.stop();
        }
        Some(made)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        // An error may end the iterator early.
        (0, Some(self.plan.batches - self.next))
    }
}

impl Drop for EpochIter {
    fn drop(&mut self) {
        self.stop();
    }
}
