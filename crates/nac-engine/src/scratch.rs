//! Scratch memory of each thread.

use std::sync::{Mutex, PoisonError};

use super::simd::{CHUNK_ROWS, Row, SCORE_ROWS};

/// Most blocks that are processed together: more would not stay in the second-level cache.
pub(crate) const MAX_GROUP: usize = 2;

/// Rows that a block needs while it goes through a layer; a [`Scratch`] holds [`MAX_GROUP`] times as many.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ScratchSize {
    /// After a layer norm.
    pub(crate) normal: usize,
    /// Operands of matrix products.
    pub(crate) operand: usize,
    /// Queries, or keys or values before they are stored.
    pub(crate) query: usize,
    /// Output of the attention.
    pub(crate) message: usize,
    /// Hidden features of a feed-forward block.
    pub(crate) hidden: usize,
}

impl ScratchSize {
    /// Enough for either.
    pub(crate) fn max(self, other: Self) -> Self {
        Self {
            normal: self.normal.max(other.normal),
            operand: self.operand.max(other.operand),
            query: self.query.max(other.query),
            message: self.message.max(other.message),
            hidden: self.hidden.max(other.hidden),
        }
    }
}

/// Scratch of one thread.
#[derive(Debug)]
pub(crate) struct Scratch {
    pub(crate) normal: Vec<Row>,
    pub(crate) operand: Vec<Row>,
    pub(crate) query: Vec<Row>,
    pub(crate) message: Vec<Row>,
    pub(crate) hidden: Vec<Row>,
    pub(crate) scores: Vec<Row>,
    pub(crate) pairs: Vec<Row>,
}

impl Scratch {
    pub(crate) fn new(size: ScratchSize) -> Self {
        let rows = |count| vec![Row::ZERO; count];
        let blocks = |count| rows(count * MAX_GROUP);
        Self {
            normal: blocks(size.normal),
            operand: blocks(size.operand),
            query: blocks(size.query),
            message: blocks(size.message),
            hidden: blocks(size.hidden),
            scores: rows(SCORE_ROWS),
            pairs: rows(CHUNK_ROWS / 2),
        }
    }
}

/// One [`Scratch`] for each thread.
#[derive(Debug)]
pub(crate) struct ThreadScratch(Vec<Mutex<Scratch>>);

impl ThreadScratch {
    pub(crate) fn new(threads: usize, size: ScratchSize) -> Self {
        let scratch = (0..threads).map(|_| Mutex::new(Scratch::new(size)));
        Self(scratch.collect())
    }

    /// Runs `work` with the scratch of the current thread of the pool; outside a pool, with that of the first.
    pub(crate) fn with<R>(&self, work: impl FnOnce(&mut Scratch) -> R) -> R {
        let index = rayon::current_thread_index().unwrap_or(0);
        // Scratch is written before it is read, so one left behind by a panic is as good as any.
        let scratch = self.0[index % self.0.len()].lock();
        work(&mut scratch.unwrap_or_else(PoisonError::into_inner))
    }
}
