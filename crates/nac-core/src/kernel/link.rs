//! The link kernel: `P_ij = exp(−d(s_i, s_j) / ε)` and its logarithm `−d/ε`.
//!
//! With a truncation `τ`, a pair with `d > τ` has no link: `P = 0`, `log P = −∞`. With the diagonal
//! eliminated, no module links to itself.
//!
//! A receiver whose every sender is truncated would have nothing to attend to, and a softmax over
//! its row would be NaN. Two rules keep such a row defined:
//! - A square matrix is taken to be links within one set of modules. There the row keeps its self
//!   edge, at its untruncated value `−d_ii/ε`, unless the diagonal is eliminated.
//! - Any other empty row stays all `P = 0`; [`normalize_along_keys`] leaves it at `−∞`.

use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis, s};
use serde::{Deserialize, Serialize};

use super::{first_unfit, for_row_blocks};
use crate::{CoreError, Real};

/// The kernel that turns signature distances into link probabilities.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RawKernel", into = "RawKernel")]
pub struct LinkKernel {
    bandwidth: f64,
    truncation: Option<f64>,
    eliminate_diagonal: bool,
}

impl Default for LinkKernel {
    /// Bandwidth 1, no truncation, diagonal kept: the final configuration of the paper's code.
    fn default() -> Self {
        Self {
            bandwidth: 1.0,
            truncation: None,
            eliminate_diagonal: false,
        }
    }
}

impl LinkKernel {
    /// A kernel with bandwidth `ε`, without truncation and with the diagonal kept.
    ///
    /// With `ε = 1` no probability is below `e⁻² ≈ 0.135`; for sparse graphs use a smaller `ε`
    /// (`0.25` gives a floor of `e⁻⁸ ≈ 0.0003`) or a threshold.
    ///
    /// # Errors
    /// [`CoreError::InvalidParameter`] unless the bandwidth is finite and greater than 0.
    pub fn new(bandwidth: f64) -> Result<Self, CoreError> {
        if !(bandwidth.is_finite() && bandwidth > 0.0) {
            return Err(CoreError::parameter(
                "LinkKernel",
                "bandwidth",
                bandwidth,
                "finite and greater than 0",
            ));
        }
        Ok(Self {
            bandwidth,
            ..Self::default()
        })
    }

    /// The same kernel without links between signatures further apart than `truncation` (`τ`).
    ///
    /// # Errors
    /// [`CoreError::InvalidParameter`] unless `truncation` is finite and at least 0.
    pub fn with_truncation(self, truncation: f64) -> Result<Self, CoreError> {
        if !(truncation.is_finite() && truncation >= 0.0) {
            return Err(CoreError::parameter(
                "LinkKernel",
                "truncation",
                truncation,
                "finite and at least 0",
            ));
        }
        Ok(Self {
            truncation: Some(truncation),
            ..self
        })
    }

    /// The same kernel with (`true`) or without self links removed.
    #[must_use]
    pub fn with_eliminate_diagonal(self, eliminate_diagonal: bool) -> Self {
        Self {
            eliminate_diagonal,
            ..self
        }
    }

    /// The bandwidth `ε`.
    #[must_use]
    pub fn bandwidth(&self) -> f64 {
        self.bandwidth
    }

    /// The truncation distance `τ`, if any.
    #[must_use]
    pub fn truncation(&self) -> Option<f64> {
        self.truncation
    }

    /// Whether self links are removed.
    #[must_use]
    pub fn eliminate_diagonal(&self) -> bool {
        self.eliminate_diagonal
    }

    /// Log link probability `−d/ε`, `−∞` where there is no link.
    ///
    /// # Shapes
    /// - distance: `[receivers, senders]`, as from [`cosine_distance`](super::cosine_distance)
    /// - result: `[receivers, senders]`
    ///
    /// # Errors
    /// [`CoreError::ShapeMismatch`] if the diagonal is to be eliminated from a matrix that is not
    /// square, [`CoreError::InvalidValue`] if a distance is NaN or negative.
    pub fn log_link_probability<T: Real>(
        &self,
        distance: ArrayView2<'_, T>,
    ) -> Result<Array2<T>, CoreError> {
        self.each_block(distance, |_| {})
    }

    /// Link probability `exp(−d/ε)` in `[0, 1]`, 0 where there is no link.
    ///
    /// # Shapes
    /// - distance: `[receivers, senders]`
    /// - result: `[receivers, senders]`
    ///
    /// # Errors
    /// As [`log_link_probability`](Self::log_link_probability).
    pub fn link_probability<T: Real>(
        &self,
        distance: ArrayView2<'_, T>,
    ) -> Result<Array2<T>, CoreError> {
        self.each_block(distance, |mut rows| rows.mapv_inplace(probability))
    }

    /// Log link probabilities of blocks of rows, each passed to `finish` while it is in the cache.
    fn each_block<T: Real>(
        &self,
        distance: ArrayView2<'_, T>,
        finish: impl Fn(ArrayViewMut2<'_, T>) + Sync,
    ) -> Result<Array2<T>, CoreError> {
        let op = "log_link_probability";
        self.check_shape(op, distance.dim())?;
        if let Some((index, d)) = first_unfit(distance, |d| d >= T::zero()) {
            return Err(CoreError::value(op, "distance", index, d, "at least 0"));
        }
        let mut out = Array2::zeros(distance.raw_dim());
        for_row_blocks(out.view_mut(), |first, mut rows| {
            let end = first + rows.nrows();
            rows.assign(&distance.slice(s![first..end, ..]));
            self.log_rows(first, distance.is_square(), rows.view_mut());
            finish(rows);
        });
        Ok(out)
    }

    pub(crate) fn check_shape(
        &self,
        op: &'static str,
        (receivers, senders): (usize, usize),
    ) -> Result<(), CoreError> {
        if self.eliminate_diagonal && receivers != senders {
            let expected = "as many receivers as senders, to eliminate the diagonal";
            return Err(CoreError::shapes(op, &[receivers], &[senders], expected));
        }
        Ok(())
    }

    /// The formula for one pair, in dtype `T`.
    pub(crate) fn formula<T: Real>(&self) -> LinkFormula<T> {
        LinkFormula {
            bandwidth: T::from_f64(self.bandwidth),
            truncation: self.truncation.map_or(T::infinity(), T::from_f64),
        }
    }

    /// Turns distances of the rows from `first` on into log probabilities, in place.
    pub(crate) fn log_rows<T: Real>(
        &self,
        first: usize,
        square: bool,
        mut rows: ArrayViewMut2<'_, T>,
    ) {
        let formula = self.formula::<T>();
        let none = T::neg_infinity();
        for (offset, mut row) in rows.axis_iter_mut(Axis(0)).enumerate() {
            let diagonal = square.then_some(first + offset);
            let self_distance = diagonal.map(|i| row[i]);
            row.mapv_inplace(|d| formula.log(d));
            let Some((i, d)) = diagonal.zip(self_distance) else {
                continue;
            };
            if self.eliminate_diagonal {
                row[i] = none;
            } else if row[i] == none && row.iter().all(|&v| v == none) {
                row[i] = formula.untruncated(d);
            }
        }
    }
}

/// A [`LinkKernel`]'s formula for one pair: `d → −d/ε`, or `−∞` beyond `τ`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LinkFormula<T> {
    bandwidth: T,
    truncation: T,
}

impl<T: Real> LinkFormula<T> {
    /// Whether the pair is not truncated.
    pub(crate) fn reaches(self, distance: T) -> bool {
        distance <= self.truncation
    }

    /// Log link probability without the truncation.
    pub(crate) fn untruncated(self, distance: T) -> T {
        -(distance / self.bandwidth)
    }

    /// Log link probability.
    pub(crate) fn log(self, distance: T) -> T {
        if distance > self.truncation {
            T::neg_infinity()
        } else {
            self.untruncated(distance)
        }
    }
}

/// `exp` of a log probability, clamped to `[0, 1]`.
pub(crate) fn probability<T: Real>(log_probability: T) -> T {
    log_probability.exp().min(T::one()).max(T::zero())
}

/// Subtracts `logsumexp` along each row, so that the probabilities of a receiver sum to 1 over its
/// senders. A softmax over senders is unchanged by it. A row that is all `−∞` stays so.
///
/// # Shapes
/// - log_probability: `[receivers, senders]`
/// - result: `[receivers, senders]`
#[must_use]
pub fn normalize_along_keys<T: Real>(log_probability: ArrayView2<'_, T>) -> Array2<T> {
    let mut out = log_probability.to_owned();
    for_row_blocks(out.view_mut(), |_, mut rows| {
        for mut row in rows.axis_iter_mut(Axis(0)) {
            let largest = row.fold(T::neg_infinity(), |m, &v| m.max(v));
            if largest == T::neg_infinity() {
                continue;
            }
            let sum = row.fold(T::zero(), |sum, &v| sum + (v - largest).exp());
            let log_sum = largest + sum.ln();
            row.mapv_inplace(|v| v - log_sum);
        }
    });
    out
}

/// [`LinkKernel`] as written in a file, before its values are checked.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawKernel {
    #[serde(default = "one")]
    bandwidth: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    truncation: Option<f64>,
    #[serde(default)]
    eliminate_diagonal: bool,
}

fn one() -> f64 {
    1.0
}

impl TryFrom<RawKernel> for LinkKernel {
    type Error = CoreError;

    fn try_from(raw: RawKernel) -> Result<Self, CoreError> {
        let kernel = Self::new(raw.bandwidth)?.with_eliminate_diagonal(raw.eliminate_diagonal);
        match raw.truncation {
            Some(truncation) => kernel.with_truncation(truncation),
            None => Ok(kernel),
        }
    }
}

impl From<LinkKernel> for RawKernel {
    fn from(kernel: LinkKernel) -> Self {
        Self {
            bandwidth: kernel.bandwidth,
            truncation: kernel.truncation,
            eliminate_diagonal: kernel.eliminate_diagonal,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::cosine_distance;
    use crate::rng::Streams;
    use ndarray::array;
    use proptest::prelude::*;

    const NONE: f64 = f64::NEG_INFINITY;

    fn signatures(seed: u64, rows: usize) -> Array2<f64> {
        let mut out = Array2::zeros((rows, 6));
        Streams::new(seed)
            .stream("signatures")
            .fill_normal_f64(out.as_slice_mut().unwrap());
        out
    }

    #[test]
    fn truncation_cuts_beyond_and_keeps_at_the_limit() {
        let kernel = LinkKernel::new(0.5).unwrap().with_truncation(0.9).unwrap();
        let log = kernel
            .log_link_probability(array![[0.0, 0.9, 0.91]].view())
            .unwrap();
        assert_eq!(log, array![[0.0, -1.8, NONE]]);
        let p = kernel
            .link_probability(array![[0.0, 0.9, 0.91]].view())
            .unwrap();
        assert_eq!(p, array![[1.0, (-1.8_f64).exp(), 0.0]]);
    }

    #[test]
    fn an_empty_row_is_defined() {
        let kernel = LinkKernel::new(2.0).unwrap().with_truncation(0.5).unwrap();
        // Square: row 0 is a zero signature, which is at distance 1 from itself.
        let square = array![[1.0, 1.0], [1.0, 0.0]];
        let log = kernel.log_link_probability(square.view()).unwrap();
        assert_eq!(log, array![[-0.5, NONE], [NONE, 0.0]]);
        // Not square, or no diagonal: the row stays empty and normalising it gives no NaN.
        let wide = array![[1.0, 1.0, 1.0]];
        let log = kernel.log_link_probability(wide.view()).unwrap();
        assert_eq!(normalize_along_keys(log.view()), array![[NONE, NONE, NONE]]);
        let log = kernel
            .with_eliminate_diagonal(true)
            .log_link_probability(square.view())
            .unwrap();
        assert!(log.iter().all(|&v| v == NONE));
    }

    #[test]
    fn bad_parameters_and_distances_are_named() {
        for bandwidth in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let message = LinkKernel::new(bandwidth).unwrap_err().to_string();
            assert!(message.contains("bandwidth"), "{message}");
        }
        assert!(LinkKernel::default().with_truncation(-0.1).is_err());
        let kernel = LinkKernel::default();
        let message = kernel
            .link_probability(array![[0.0, -1e-3]].view())
            .unwrap_err()
            .to_string();
        assert!(message.contains("distance[0, 1]"), "{message}");
        assert!(kernel.link_probability(array![[f32::NAN]].view()).is_err());
        assert!(
            kernel
                .with_eliminate_diagonal(true)
                .link_probability(array![[0.0, 0.1]].view())
                .is_err()
        );
    }

    #[test]
    fn files_are_checked() {
        let kernel: LinkKernel = serde_json::from_str(r#"{"truncation": 0.9}"#).unwrap();
        assert_eq!(kernel, LinkKernel::default().with_truncation(0.9).unwrap());
        let text = serde_json::to_string(&kernel).unwrap();
        assert_eq!(serde_json::from_str::<LinkKernel>(&text).unwrap(), kernel);
        assert!(serde_json::from_str::<LinkKernel>(r#"{"bandwidth": 0}"#).is_err());
        assert!(serde_json::from_str::<LinkKernel>(r#"{"bandwith": 1}"#).is_err());
    }

    proptest! {
        #[test]
        fn probabilities_are_symmetric_bounded_and_one_on_the_diagonal(
            seed: u64,
            bandwidth in 0.05_f64..10.0,
        ) {
            let s = signatures(seed, 9);
            let d = cosine_distance(s.view(), s.view()).unwrap();
            let p = LinkKernel::new(bandwidth).unwrap().link_probability(d.view()).unwrap();
            for ((i, j), &value) in p.indexed_iter() {
                prop_assert!((0.0..=1.0).contains(&value));
                prop_assert!((value - p[[j, i]]).abs() < 1e-12);
                prop_assert!(value >= (-2.0 / bandwidth).exp() * (1.0 - 1e-12));
                if i == j {
                    prop_assert!((value - 1.0).abs() < 1e-12);
                }
            }
        }

        #[test]
        fn bandwidth_limits_are_the_identity_and_the_complete_graph(seed: u64) {
            let s = signatures(seed, 9);
            let d = cosine_distance(s.view(), s.view()).unwrap();
            let narrow = LinkKernel::new(1e-6).unwrap().link_probability(d.view()).unwrap();
            let wide = LinkKernel::new(1e9).unwrap().link_probability(d.view()).unwrap();
            for ((i, j), &value) in narrow.indexed_iter() {
                let expected = if i == j { 1.0 } else { 0.0 };
                // Two of nine random directions closer than 1e-4 do not occur.
                prop_assert!((value - expected).abs() < 1e-6);
                prop_assert!((wide[[i, j]] - 1.0).abs() < 1e-8);
            }
        }

        #[test]
        fn normalised_rows_sum_to_one(seed: u64, truncation in 0.0_f64..2.0) {
            let s = signatures(seed, 9);
            let d = cosine_distance(s.view(), s.view()).unwrap();
            let kernel = LinkKernel::default().with_truncation(truncation).unwrap();
            let log = kernel.log_link_probability(d.view()).unwrap();
            for row in normalize_along_keys(log.view()).rows() {
                prop_assert!((row.iter().map(|v| v.exp()).sum::<f64>() - 1.0).abs() < 1e-12);
            }
        }
    }
}
