//! Where hard sampling reads link probabilities from, a block of rows at a time.

use ndarray::{Array2, ArrayView2, ArrayViewMut2, s};

use crate::kernel::{LinkKernel, link, signature};
use crate::{CoreError, Real};

/// A matrix of link probabilities that is produced block by block.
pub trait LinkSource: Sync {
    /// The number type of the probabilities.
    type Number: Real;

    /// `(receivers, senders)`.
    fn shape(&self) -> (usize, usize);

    /// Writes the probabilities of the receivers from `first` on into `rows`
    /// (`[some receivers, senders]`). Samplers always ask for the same blocks.
    fn fill(&self, first: usize, rows: ArrayViewMut2<'_, Self::Number>);
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

    fn fill(&self, first: usize, mut rows: ArrayViewMut2<'_, T>) {
        let end = first + rows.nrows();
        rows.assign(&self.0.slice(s![first..end, ..]));
    }
}

/// Link probabilities computed from signatures as they are needed: memory grows with the number of
/// signatures, not with their square.
#[derive(Debug, Clone)]
pub struct SignatureLinks<T> {
    receivers: Array2<T>,
    senders: Array2<T>,
    kernel: LinkKernel,
}

impl<T: Real> SignatureLinks<T> {
    /// The links between two sets of signatures under `kernel`.
    ///
    /// # Shapes
    /// - receivers: `[receivers, signature_dim]`
    /// - senders: `[senders, signature_dim]`
    ///
    /// # Errors
    /// As [`cosine_distance`](crate::kernel::cosine_distance) and
    /// [`LinkKernel::log_link_probability`].
    pub fn new(
        receivers: ArrayView2<'_, T>,
        senders: ArrayView2<'_, T>,
        kernel: LinkKernel,
    ) -> Result<Self, CoreError> {
        let op = "SignatureLinks::new";
        let (receivers, senders) = signature::normalized_pair(op, receivers, senders)?;
        kernel.check_shape(op, (receivers.nrows(), senders.nrows()))?;
        Ok(Self {
            receivers,
            senders,
            kernel,
        })
    }
}

impl<T: Real> LinkSource for SignatureLinks<T> {
    type Number = T;

    fn shape(&self) -> (usize, usize) {
        (self.receivers.nrows(), self.senders.nrows())
    }

    fn fill(&self, first: usize, mut rows: ArrayViewMut2<'_, T>) {
        let (receivers, senders) = (self.receivers.view(), self.senders.view());
        signature::distance_rows(receivers, senders, first, rows.view_mut());
        let square = self.receivers.nrows() == self.senders.nrows();
        self.kernel.log_rows(first, square, rows.view_mut());
        rows.mapv_inplace(link::probability);
    }
}
