//! A thread pool, and how blocks of work are dealt out to it.

use rayon::prelude::*;

use super::backend::Backend;
use super::error::{EngineError, Result};
use super::scratch::{MAX_GROUP, Scratch, ThreadScratch};

/// A fixed number of threads. A single thread is the caller's own.
#[derive(Debug)]
pub(crate) struct ThreadPool {
    pool: Option<rayon::ThreadPool>,
    threads: usize,
}

impl ThreadPool {
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

    /// Runs `work` on the pool: whatever it does in parallel runs on these threads.
    pub(crate) fn run<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        match &self.pool {
            Some(pool) => pool.install(work),
            None => work(),
        }
    }
}

/// What a pass runs on: a thread pool, the scratch of its threads, and the backend that they compute with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Workers<'a> {
    pub(crate) backend: &'a Backend,
    pub(crate) pool: &'a ThreadPool,
    pub(crate) scratch: &'a ThreadScratch,
}

/// A group of neighbouring blocks of one example.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) example: usize,
    /// The first block of the group in its example.
    pub(crate) first: usize,
}

impl Workers<'_> {
    /// `work(index, part, scratch)` for every `size` elements of `data`.
    pub(crate) fn each<T: Send>(
        &self,
        data: &mut [T],
        size: usize,
        work: impl Fn(usize, &mut [T], &mut Scratch) + Sync,
    ) {
        if self.pool.pool.is_none() {
            self.scratch.with(|scratch| {
                for (index, part) in data.chunks_mut(size).enumerate() {
                    work(index, part, scratch);
                }
            });
            return;
        }
        let parts = data.par_chunks_mut(size).enumerate().with_max_len(1);
        parts.for_each(|(index, part)| self.scratch.with(|scratch| work(index, part, scratch)));
    }

    /// `work(group, part, other, scratch)` for every group of blocks of every example. An example has `blocks` blocks,
    /// each of which is `size` elements of `data` and `other_size` elements of `others`.
    pub(crate) fn each_group<T: Send>(
        &self,
        blocks: usize,
        (data, size): (&mut [T], usize),
        (others, other_size): (&mut [T], usize),
        work: impl Fn(Group, &mut [T], &mut [T], &mut Scratch) + Sync,
    ) {
        let (example_size, other_example_size) = (size * blocks, other_size * blocks);
        let group_size = self.group_size(blocks, data.len() / example_size);
        let (part_size, other_part_size) = (size * group_size, other_size * group_size);
        let group = |example, index| Group {
            example,
            first: index * group_size,
        };
        if self.pool.pool.is_none() {
            self.scratch.with(|scratch| {
                let examples = data.chunks_mut(example_size);
                let examples = examples.zip(others.chunks_mut(other_example_size));
                for (example, (data, others)) in examples.enumerate() {
                    let parts = data.chunks_mut(part_size);
                    let parts = parts.zip(others.chunks_mut(other_part_size));
                    for (index, (part, other)) in parts.enumerate() {
                        work(group(example, index), part, other, scratch);
                    }
                }
            });
            return;
        }
        let examples = data.par_chunks_mut(example_size);
        let examples = examples.zip(others.par_chunks_mut(other_example_size));
        let examples = examples.enumerate().with_max_len(1);
        examples.for_each(|(example, (data, others))| {
            let parts = data.par_chunks_mut(part_size);
            let parts = parts.zip(others.par_chunks_mut(other_part_size));
            let parts = parts.enumerate().with_max_len(1);
            parts.for_each(|(index, (part, other))| {
                let group = group(example, index);
                self.scratch
                    .with(|scratch| work(group, part, other, scratch));
            });
        });
    }

    /// Blocks that are processed together: several, as long as that leaves every thread enough to do.
    fn group_size(&self, blocks: usize, examples: usize) -> usize {
        let threads = self.pool.threads();
        let is_fair = |size: usize| {
            let groups = examples * blocks.div_ceil(size);
            groups.is_multiple_of(threads) || groups >= 8 * threads
        };
        let size = (2..=MAX_GROUP).rev().find(|size| is_fair(*size));
        size.unwrap_or(1).min(blocks)
    }
}
