//! What fused blocks run on, shared by all layers of a model.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use nac_engine::training::{Compute, TrainingPrecision};

use crate::error::Result;

/// Threads and precision of fused blocks. Clones share both.
///
/// Blocks write states and gradients into the same memory in every step. A tensor that a pass with this executor gave,
/// or that [`Tape::backward`](crate::tape::Tape::backward) gave for it, is therefore valid until the next pass over the
/// same model; to keep some for longer, copy them or call [`keep_tensors`](Self::keep_tensors) before that pass.
#[derive(Debug, Clone)]
pub struct FusedExecutor(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    compute: Compute,
    generation: AtomicU64,
    nodes: AtomicUsize,
}

impl FusedExecutor {
    /// An executor with its own thread pool; `threads` of 0 means as many as the machine has.
    ///
    /// # Errors
    /// The operating system refuses to start the threads.
    pub fn new(threads: usize, precision: TrainingPrecision) -> Result<Self> {
        Ok(Self(Arc::new(Inner {
            compute: Compute::new(threads, precision)?,
            generation: AtomicU64::new(0),
            nodes: AtomicUsize::new(0),
        })))
    }

    /// Number format of the operands of matrix products.
    #[must_use]
    pub fn precision(&self) -> TrainingPrecision {
        self.0.compute.precision()
    }

    /// Leaves the tensors of earlier passes to whoever holds them: later passes write into new memory.
    pub fn keep_tensors(&self) {
        self.0.generation.fetch_add(1, Ordering::Relaxed);
    }

    /// Number of blocks that ran so far.
    #[must_use]
    pub fn blocks_run(&self) -> usize {
        self.0.nodes.load(Ordering::Relaxed)
    }

    pub(super) fn count_block(&self) {
        self.0.nodes.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn compute(&self) -> &Compute {
        &self.0.compute
    }

    pub(super) fn generation(&self) -> u64 {
        self.0.generation.load(Ordering::Relaxed)
    }
}
