//! What training runs on: threads, vector instructions, a precision, and the scratch memory of each thread.

use std::sync::{Mutex, PoisonError};

use super::memory::Workspace;
pub(crate) use super::memory::{Buffer, Scratch};
use crate::error::Result;
use crate::thread_pool::ThreadPool;

/// Number format of the operands of matrix products in training.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    Default,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantNames,
)]
#[strum(serialize_all = "lowercase")]
pub enum TrainingPrecision {
    /// Single precision everywhere.
    #[default]
    F32,
    /// Operands of matrix products are rounded to bfloat16, sums are in single precision. Weights, states, layer
    /// norms, softmax and gradients stay in single precision.
    Mixed,
}

/// Threads, vector instructions, precision, and scratch memory. Made once, shared by all blocks.
#[derive(Debug)]
pub struct Compute {
    pool: ThreadPool,
    arch: pulp::Arch,
    precision: TrainingPrecision,
    scratch: Vec<Mutex<Scratch>>,
    workspace: Mutex<Workspace>,
    operand: Mutex<Buffer>,
    spare: Mutex<Vec<Buffer>>,
}

impl Compute {
    /// `threads` of 0 means as many as the machine has.
    ///
    /// # Errors
    /// The operating system refuses to start the threads.
    pub fn new(threads: usize, precision: TrainingPrecision) -> Result<Self> {
        let pool = ThreadPool::new(threads)?;
        let scratch = (0..pool.threads()).map(|_| Mutex::default()).collect();
        Ok(Self {
            pool,
            arch: pulp::Arch::new(),
            precision,
            scratch,
            workspace: Mutex::default(),
            operand: Mutex::default(),
            spare: Mutex::default(),
        })
    }

    /// Number of threads.
    pub fn threads(&self) -> usize {
        self.pool.threads()
    }

    /// Number format of the operands of matrix products.
    pub fn precision(&self) -> TrainingPrecision {
        self.precision
    }

    /// The vector instructions of this processor.
    pub(crate) fn arch(&self) -> pulp::Arch {
        self.arch
    }

    /// Runs `work` on the pool, so that the parallel loops in it start without a change of thread.
    pub fn run<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        self.pool.run(work)
    }

    /// `work(index, part, scratch)` for each of `count` parts. Which parts there are must not depend on the number of
    /// threads. `work` must not start another parallel loop.
    pub(crate) fn each<P: Split>(
        &self,
        count: usize,
        parts: P,
        work: impl Fn(usize, P, &mut Scratch) + Sync,
    ) {
        if count == 0 {
            return;
        }
        if self.threads() == 1 || count == 1 {
            self.with_scratch(|scratch| {
                let mut rest = parts;
                for index in 0..count - 1 {
                    let (part, others) = rest.split(1);
                    work(index, part, scratch);
                    rest = others;
                }
                work(count - 1, rest, scratch);
            });
        } else {
            self.run(|| self.halve(0, count, parts, &work));
        }
    }

    fn halve<P: Split>(
        &self,
        first: usize,
        count: usize,
        parts: P,
        work: &(impl Fn(usize, P, &mut Scratch) + Sync),
    ) {
        if count == 1 {
            self.with_scratch(|scratch| work(first, parts, scratch));
            return;
        }
        let half = count / 2;
        let (low, high) = parts.split(half);
        rayon::join(
            || self.halve(first, half, low, work),
            || self.halve(first + half, count - half, high, work),
        );
    }

    /// Runs `work` with the memory that the backward passes of all blocks share, one after the other.
    pub(crate) fn with_workspace<R>(&self, work: impl FnOnce(&mut Workspace) -> R) -> R {
        let workspace = self.workspace.lock();
        work(&mut workspace.unwrap_or_else(PoisonError::into_inner))
    }

    /// Runs `work` with memory for a packed operand that all threads read.
    pub(crate) fn with_operand<R>(&self, work: impl FnOnce(&mut Buffer) -> R) -> R {
        let operand = self.operand.lock();
        work(&mut operand.unwrap_or_else(PoisonError::into_inner))
    }

    /// A buffer that is not in use, the smallest that has room for `len` numbers if there is one.
    pub(crate) fn lend(&self, len: usize) -> Buffer {
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        let best = (0..spare.len()).min_by_key(|index| match spare[*index].room() {
            enough if enough >= len => (false, enough),
            // If none is large enough, the largest grows.
            less => (true, usize::MAX - less),
        });
        best.map(|index| spare.swap_remove(index))
            .unwrap_or_default()
    }

    /// Takes back what [`Compute::lend`] gave.
    pub(crate) fn take_back(&self, buffer: Buffer) {
        let spare = self.spare.lock();
        spare.unwrap_or_else(PoisonError::into_inner).push(buffer);
    }

    /// Runs `work` with the scratch of the current thread of the pool; outside a pool, with that of the first.
    pub(crate) fn with_scratch<R>(&self, work: impl FnOnce(&mut Scratch) -> R) -> R {
        let index = rayon::current_thread_index().unwrap_or(0);
        // Scratch is written before it is read, so one left behind by a panic is as good as any.
        let scratch = self.scratch[index % self.scratch.len()].lock();
        work(&mut scratch.unwrap_or_else(PoisonError::into_inner))
    }
}

/// Something that splits into parts for [`Compute::each`].
pub(crate) trait Split: Send + Sized {
    /// The first `parts` parts, and the others.
    fn split(self, parts: usize) -> (Self, Self);
}

/// A slice in parts of `size` elements, the last of which may be shorter.
#[derive(Debug)]
pub(crate) struct Chunks<'a, T> {
    data: &'a mut [T],
    size: usize,
}

impl<'a, T> Chunks<'a, T> {
    pub(crate) fn new(data: &'a mut [T], size: usize) -> Self {
        Self { data, size }
    }

    /// The elements.
    pub(crate) fn into_slice(self) -> &'a mut [T] {
        self.data
    }
}

impl<T: Send> Split for Chunks<'_, T> {
    fn split(self, parts: usize) -> (Self, Self) {
        let at = (parts * self.size).min(self.data.len());
        let (low, high) = self.data.split_at_mut(at);
        (Self::new(low, self.size), Self::new(high, self.size))
    }
}

impl Split for () {
    fn split(self, _: usize) -> (Self, Self) {
        ((), ())
    }
}

impl<A: Split> Split for Option<A> {
    fn split(self, parts: usize) -> (Self, Self) {
        self.map_or((None, None), |all| {
            let (low, high) = all.split(parts);
            (Some(low), Some(high))
        })
    }
}

impl<A: Split, const N: usize> Split for [A; N] {
    fn split(self, parts: usize) -> (Self, Self) {
        let mut highs: [Option<A>; N] = std::array::from_fn(|_| None);
        let mut at = 0;
        let lows = self.map(|all| {
            let (low, high) = all.split(parts);
            highs[at] = Some(high);
            at += 1;
            low
        });
        let highs = highs.map(|high| match high {
            Some(high) => high,
            None => unreachable!("every element has just been split"),
        });
        (lows, highs)
    }
}

macro_rules! split_tuple {
    ($($name:ident: $index:tt),+) => {
        impl<$($name: Split),+> Split for ($($name,)+) {
            fn split(self, parts: usize) -> (Self, Self) {
                let halves = ($(self.$index.split(parts),)+);
                (($(halves.$index.0,)+), ($(halves.$index.1,)+))
            }
        }
    };
}

split_tuple!(A: 0, B: 1);
split_tuple!(A: 0, B: 1, C: 2);
split_tuple!(A: 0, B: 1, C: 2, D: 3);
split_tuple!(A: 0, B: 1, C: 2, D: 3, E: 4);
split_tuple!(A: 0, B: 1, C: 2, D: 3, E: 4, F: 5);

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_part_is_seen_once_with_its_index() {
        for threads in [1, 2, 3] {
            let compute = Compute::new(threads, TrainingPrecision::F32).unwrap();
            let (mut data, mut last) = (vec![0_usize; 23], vec![0_usize; 6]);
            let parts = (Chunks::new(&mut data, 4), Some(Chunks::new(&mut last, 1)));
            compute.each(6, parts, |index, (part, last), scratch| {
                let part = part.into_slice();
                last.unwrap().into_slice()[0] = part.len();
                let [a, b] = scratch.rows.parts([3, 17]);
                a.fill(index as f32);
                b.fill(1.0);
                part.fill(a.iter().sum::<f32>() as usize + b.len());
            });
            let expected: Vec<usize> = (0..23).map(|i| i / 4 * 3 + 17).collect();
            assert_eq!(data, expected);
            assert_eq!(last, [4, 4, 4, 4, 4, 3]);
        }
    }
}
