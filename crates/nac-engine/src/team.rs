//! Threads, and the room that each of them works in.

use std::sync::{Mutex, PoisonError};

use rayon::ThreadPool;
use rayon::prelude::*;

use super::attention::{CHUNK_ROWS, SCORE_ROWS};
use super::error::{EngineError, Result};
use super::simd::Row;

/// A fixed number of threads. One thread is the caller's own.
#[derive(Debug)]
pub(crate) struct Team {
    pool: Option<ThreadPool>,
    threads: usize,
}

impl Team {
    /// `threads` of 0 means as many as the machine has.
    pub(crate) fn new(threads: usize) -> Result<Self> {
        let threads = if threads == 0 {
            std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
        } else {
            threads
        };
        let build = || {
            rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .thread_name(|index| format!("nac-{index}"))
                .build()
        };
        let pool = (threads > 1)
            .then(build)
            .transpose()
            .map_err(|error| EngineError::Threads {
                threads,
                reason: error.to_string(),
            })?;
        Ok(Self { pool, threads })
    }

    pub(crate) fn threads(&self) -> usize {
        self.threads
    }

    /// Runs `work` on the team: what it does in parallel, it does on these threads.
    pub(crate) fn run<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        match &self.pool {
            Some(pool) => pool.install(work),
            None => work(),
        }
    }

    /// `work(index, part, scratch)` for every `size` elements of `data`.
    pub(crate) fn each<T: Send>(
        &self,
        data: &mut [T],
        size: usize,
        desks: &Desks,
        work: impl Fn(usize, &mut [T], &mut Scratch) + Sync,
    ) {
        if self.pool.is_none() {
            desks.at(0, |scratch| {
                for (index, part) in data.chunks_mut(size).enumerate() {
                    work(index, part, scratch);
                }
            });
            return;
        }
        let parts = data.par_chunks_mut(size).enumerate().with_max_len(1);
        parts.for_each(|(index, part)| desks.mine(|scratch| work(index, part, scratch)));
    }

    /// `work(place, part, other, scratch)` for every group of blocks of every example. A block is `size` elements of
    /// `data`, and `other_size` of `others`.
    pub(crate) fn each_with<T: Send>(
        &self,
        grid: Grid,
        (data, size): (&mut [T], usize),
        (others, other_size): (&mut [T], usize),
        desks: &Desks,
        work: impl Fn(Place, &mut [T], &mut [T], &mut Scratch) + Sync,
    ) {
        let Grid { blocks, group } = grid;
        let place = |example, index| Place {
            example,
            first: index * group,
        };
        let (data_of_example, others_of_example) = (size * blocks, other_size * blocks);
        if self.pool.is_none() {
            desks.at(0, |scratch| {
                let examples = data.chunks_mut(data_of_example);
                let examples = examples.zip(others.chunks_mut(others_of_example));
                for (example, (data, others)) in examples.enumerate() {
                    let parts = data.chunks_mut(size * group);
                    let parts = parts.zip(others.chunks_mut(other_size * group));
                    for (index, (part, other)) in parts.enumerate() {
                        work(place(example, index), part, other, scratch);
                    }
                }
            });
            return;
        }
        let examples = data.par_chunks_mut(data_of_example);
        let examples = examples.zip(others.par_chunks_mut(others_of_example));
        examples
            .enumerate()
            .with_max_len(1)
            .for_each(|(example, (data, others))| {
                let parts = data.par_chunks_mut(size * group);
                let parts = parts.zip(others.par_chunks_mut(other_size * group));
                parts
                    .enumerate()
                    .with_max_len(1)
                    .for_each(|(index, (part, other))| {
                        let place = place(example, index);
                        desks.mine(|scratch| work(place, part, other, scratch));
                    });
            });
    }
}

/// How the blocks of examples are dealt out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Grid {
    /// Blocks of an example.
    pub(crate) blocks: usize,
    /// Blocks that are worked on together.
    pub(crate) group: usize,
}

/// A group of blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) example: usize,
    /// The first block of the group in its example.
    pub(crate) first: usize,
}

/// Most blocks that are worked on together: more would not stay in the second cache.
pub(crate) const MOST_TOGETHER: usize = 2;

/// Rows that a block needs while it goes through a layer; there is room for [`MOST_TOGETHER`] blocks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Room {
    /// After a layer norm.
    pub(crate) normal: usize,
    /// What is multiplied by weights.
    pub(crate) operand: usize,
    /// Queries, or keys or values before they are stored.
    pub(crate) query: usize,
    /// What was heard.
    pub(crate) message: usize,
    /// Hidden features of a feed-forward block.
    pub(crate) hidden: usize,
}

impl Room {
    /// Room enough for both.
    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            normal: self.normal.max(other.normal),
            operand: self.operand.max(other.operand),
            query: self.query.max(other.query),
            message: self.message.max(other.message),
            hidden: self.hidden.max(other.hidden),
        }
    }
}

/// Where one thread works.
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
    pub(crate) fn new(room: Room) -> Self {
        let rows = |count| vec![Row::ZERO; count];
        let blocks = |count| rows(count * MOST_TOGETHER);
        Self {
            normal: blocks(room.normal),
            operand: blocks(room.operand),
            query: blocks(room.query),
            message: blocks(room.message),
            hidden: blocks(room.hidden),
            scores: rows(SCORE_ROWS),
            pairs: rows(CHUNK_ROWS / 2),
        }
    }
}

/// A desk for each thread.
#[derive(Debug)]
pub(crate) struct Desks(Vec<Mutex<Scratch>>);

impl Desks {
    pub(crate) fn new(threads: usize, room: Room) -> Self {
        Self(
            (0..threads)
                .map(|_| Mutex::new(Scratch::new(room)))
                .collect(),
        )
    }

    /// Work at the desk of this thread of the pool.
    fn mine<R>(&self, work: impl FnOnce(&mut Scratch) -> R) -> R {
        self.at(rayon::current_thread_index().unwrap_or(0), work)
    }

    fn at<R>(&self, index: usize, work: impl FnOnce(&mut Scratch) -> R) -> R {
        // What lies on a desk is written before it is read, so a desk left in a panic is as good as any.
        let desk = self.0[index % self.0.len()].lock();
        work(&mut desk.unwrap_or_else(PoisonError::into_inner))
    }
}
