//! Stage 1: from signatures to link probabilities.
//!
//! [`signature`] measures how far two signatures are apart, [`link`] turns that distance into the
//! probability that the receiving module attends to the sending one.

pub mod link;
pub mod signature;

pub use link::{LinkKernel, normalize_along_keys};
pub use signature::{cosine_distance, normalize_signatures};

use ndarray::{ArrayView2, ArrayViewMut2, Axis};
use rayon::prelude::*;

use crate::Real;

/// Rows handled at a time. One block is small enough for the cache and large enough for a matrix
/// product; it is fixed so that results never depend on the number of threads.
pub(crate) const BLOCK_ROWS: usize = 64;

/// Calls `work(first_row, block)` for every block of [`BLOCK_ROWS`] rows, in parallel when there
/// is more than one.
pub(crate) fn for_row_blocks<T: Real>(
    mut out: ArrayViewMut2<'_, T>,
    work: impl Fn(usize, ArrayViewMut2<'_, T>) + Sync,
) {
    if out.nrows() <= BLOCK_ROWS {
        work(0, out);
        return;
    }
    out.axis_chunks_iter_mut(Axis(0), BLOCK_ROWS)
        .into_par_iter()
        .enumerate()
        .for_each(|(block, rows)| work(block * BLOCK_ROWS, rows));
}

/// The first entry, in row-major order, that does not fit. Its index is computed only if there is one.
pub(crate) fn first_unfit<T: Real>(
    values: ArrayView2<'_, T>,
    fits: impl Fn(T) -> bool,
) -> Option<((usize, usize), T)> {
    if values.iter().fold(true, |all, &value| all & fits(value)) {
        return None;
    }
    let mut entries = values.indexed_iter();
    let (index, &value) = entries.find(|(_, value)| !fits(**value))?;
    Some((index, value))
}
