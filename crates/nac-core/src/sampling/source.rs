//! Sources of link probabilities for hard sampling, read a block of rows at a time.

use ndarray::{Array2, ArrayView1, ArrayView2, ArrayViewMut2, Axis, s};

use crate::rng::Stream;
use crate::{CoreError, Real};

/// A matrix of link probabilities that is produced block by block.
///
/// A source has to be able to [`fill`](Self::fill) rows. The other methods choose links from them;
/// a source that can choose without computing every probability may override them, and must
/// choose the same links.
pub trait LinkSource: Sync {
    /// Dtype of the probabilities.
    type Number: Real;

    /// `(receivers, senders)`.
    fn shape(&self) -> (usize, usize);

    /// Writes the probabilities of the receivers from `first` on into `rows`
    /// (`[some receivers, senders]`). Samplers always ask for the same blocks.
    ///
    /// # Errors
    /// [`CoreError::ShapeMismatch`] if `rows` reaches beyond the last receiver or has another width
    /// than there are senders; sources outside this crate may return others.
    fn fill(&self, first: usize, rows: ArrayViewMut2<'_, Self::Number>) -> Result<(), CoreError>;

    /// Draws the links of the receivers from `first` on, one for each of `streams`: appends to
    /// `kept[k]` the senders `j` with `u_j < P[first + k, j]`, in order, where `u_j` is the `j`-th
    /// `f64` uniform of `streams[k]`. Their positions afterwards are not defined.
    ///
    /// # Errors
    /// [`CoreError::InvalidValue`] if a probability is outside `[0, 1]`,
    /// [`CoreError::ShapeMismatch`] if there are more of `kept` than receivers, or another number
    /// of `streams`.
    fn draw(
        &self,
        first: usize,
        streams: &mut [Stream],
        kept: &mut [Vec<usize>],
    ) -> Result<(), CoreError> {
        let op = "hard_sample_from";
        check_streams(op, streams, kept)?;
        choose(self, op, first, kept, |k, row, keep| {
            let stream = &mut streams[k];
            let drawn = |&(_, p): &(usize, &Self::Number)| stream.uniform() < p.as_f64();
            keep.extend(row.iter().enumerate().filter(drawn).map(|(j, _)| j));
        })
    }

    /// Appends to `kept[k]` the senders `j` with `P[first + k, j] ≥ threshold`, in order.
    ///
    /// # Errors
    /// [`CoreError::InvalidValue`] if a probability is outside `[0, 1]`,
    /// [`CoreError::ShapeMismatch`] if there are more of `kept` than receivers.
    fn cut(&self, first: usize, threshold: f64, kept: &mut [Vec<usize>]) -> Result<(), CoreError> {
        choose(self, "threshold", first, kept, |_, row, keep| {
            let strong = |(_, p): &(usize, &Self::Number)| p.as_f64() >= threshold;
            keep.extend(row.iter().enumerate().filter(strong).map(|(j, _)| j));
        })
    }
}

/// Fills rows, checks them, and lets `pick(offset, probabilities, kept)` choose.
pub(super) fn choose<S: LinkSource + ?Sized>(
    source: &S,
    op: &'static str,
    first: usize,
    kept: &mut [Vec<usize>],
    mut pick: impl FnMut(usize, ArrayView1<'_, S::Number>, &mut Vec<usize>),
) -> Result<(), CoreError> {
    let mut probabilities = Array2::zeros((kept.len(), source.shape().1));
    source.fill(first, probabilities.view_mut())?;
    for ((offset, row), keep) in probabilities.axis_iter(Axis(0)).enumerate().zip(kept) {
        check_probabilities(op, first + offset, row)?;
        pick(offset, row, keep);
    }
    Ok(())
}

/// An error unless `rows` rows of `columns` from row `first` on are part of a matrix of `shape`.
pub(super) fn check_rows(
    op: &'static str,
    first: usize,
    (rows, columns): (usize, usize),
    shape: (usize, usize),
) -> Result<(), CoreError> {
    if columns == shape.1 && first <= shape.0 && rows <= shape.0 - first {
        return Ok(());
    }
    let expected = "rows [receivers from `first` on, senders] of a matrix [receivers, senders]";
    let (left, right) = ([rows, columns], [shape.0, shape.1]);
    Err(CoreError::shapes(op, &left, &right, expected))
}

/// An error unless there is a stream for each receiver.
pub(super) fn check_streams(
    op: &'static str,
    streams: &[Stream],
    kept: &[Vec<usize>],
) -> Result<(), CoreError> {
    let expected = "a stream for each receiver";
    if streams.len() == kept.len() {
        return Ok(());
    }
    let (left, right) = ([streams.len()], [kept.len()]);
    Err(CoreError::shapes(op, &left, &right, expected))
}

fn check_probabilities<T: Real>(
    op: &'static str,
    i: usize,
    row: ArrayView1<'_, T>,
) -> Result<(), CoreError> {
    let fits = |p: &T| (T::zero()..=T::one()).contains(p);
    match row.iter().enumerate().find(|(_, p)| !fits(p)) {
        Some((j, p)) => Err(CoreError::value(op, "probability", (i, j), p, "in [0, 1]")),
        None => Ok(()),
    }
}

/// A dense matrix as a [`LinkSource`], for example a graph prior's graphon.
///
/// # Shapes
/// - field 0: `[receivers, senders]`
#[derive(Debug, Clone, Copy)]
pub struct DenseLinks<'a, T>(pub ArrayView2<'a, T>);

impl<T: Real> LinkSource for DenseLinks<'_, T> {
    type Number = T;

    fn shape(&self) -> (usize, usize) {
        self.0.dim()
    }

    fn fill(&self, first: usize, mut rows: ArrayViewMut2<'_, T>) -> Result<(), CoreError> {
        check_rows("DenseLinks::fill", first, rows.dim(), self.shape())?;
        let end = first + rows.nrows();
        rows.assign(&self.0.slice(s![first..end, ..]));
        Ok(())
    }
}
