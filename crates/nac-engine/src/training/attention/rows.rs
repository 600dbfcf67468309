//! What happens to one row of scores: the softmax, and its gradient.

use std::f32::consts::LOG2_E;

use pulp::Simd;

use crate::simd::math::exp2_or_zero;
use crate::training::product::Multiply;

/// One matrix product. Not inlined: there is one copy of this code for each instruction set.
#[inline(never)]
pub(super) fn product<S: Simd>(simd: S, multiply: Multiply<'_>) {
    simd.vectorize(multiply);
}

/// Below every score, but finite: a maximum over nothing that can be subtracted.
pub(super) const LOWEST: f32 = -3e38;

/// How a product of a query and a key becomes a score in units of `ln 2`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scoring<'a> {
    /// Factor on the product, with `log₂ e` in it.
    pub(super) scale: f32,
    /// Natural logarithms of links, one for each sender.
    pub(super) links: Option<&'a [f32]>,
    /// Zero, or −∞ for padding; one for each sender, and any multiple of a vector's length.
    pub(super) padding: Option<&'a [f32]>,
}

impl Scoring<'_> {
    /// Turns products into scores; those beyond `count` become −∞. Returns the maximum over each lane.
    #[inline(always)]
    pub(super) fn score<S: Simd>(self, simd: S, row: &mut [f32], count: usize) -> S::f32s {
        let (scale, log2_e) = (simd.splat_f32s(self.scale), simd.splat_f32s(LOG2_E));
        let vectors = S::as_mut_simd_f32s(&mut *row).0;
        if let Some(links) = self.links {
            let (links, rest) = S::as_simd_f32s(&links[..count]);
            for (x, link) in vectors.iter_mut().zip(links) {
                *x = simd.mul_add_f32s(*link, log2_e, simd.mul_f32s(*x, scale));
            }
            if let Some(x) = vectors.get_mut(links.len()).filter(|_| !rest.is_empty()) {
                let link = simd.partial_load_f32s(rest);
                *x = simd.mul_add_f32s(link, log2_e, simd.mul_f32s(*x, scale));
            }
        } else {
            for x in &mut *vectors {
                *x = simd.mul_f32s(*x, scale);
            }
        }
        if let Some(padding) = self.padding {
            for (x, padding) in vectors.iter_mut().zip(S::as_simd_f32s(padding).0) {
                *x = simd.add_f32s(*x, *padding);
            }
        }
        // After the factor, which is zero where there is nothing but padding.
        row[count..].fill(f32::NEG_INFINITY);
        let mut most = simd.splat_f32s(LOWEST);
        for x in S::as_simd_f32s(row).0 {
            most = simd.max_f32s(most, *x);
        }
        most
    }
}

/// Maximum so far, and the sum of powers of two of scores less the maximum.
#[derive(Debug, Clone, Copy)]
pub(super) struct RunningSoftmax {
    highest: f32,
    sum: f32,
}

impl RunningSoftmax {
    pub(super) const EMPTY: Self = Self {
        highest: LOWEST,
        sum: 0.0,
    };

    /// Turns products into weights, to be divided by the sum in the end, and returns what earlier weights shrink by.
    #[inline(always)]
    pub(super) fn add<S: Simd>(
        &mut self,
        simd: S,
        row: &mut [f32],
        count: usize,
        scoring: Scoring<'_>,
    ) -> S::f32s {
        let most = simd.reduce_max_f32s(scoring.score(simd, row, count));
        let before = self.highest;
        self.highest = before.max(most);
        let highest = simd.splat_f32s(self.highest);
        let mut sum = simd.splat_f32s(0.0);
        for x in S::as_mut_simd_f32s(row).0 {
            *x = exp2_or_zero(simd, simd.sub_f32s(*x, highest));
            sum = simd.add_f32s(sum, *x);
        }
        let shrink = if before == LOWEST {
            // Nothing has been weighed yet.
            simd.splat_f32s(0.0)
        } else {
            exp2_or_zero(simd, simd.sub_f32s(simd.splat_f32s(before), highest))
        };
        self.sum = self.sum * first(shrink) + simd.reduce_sum_f32s(sum);
        shrink
    }

    /// What weights are to be multiplied by, and the logarithm to base two of the sum.
    pub(super) fn finish(self) -> (f32, f32) {
        // A receiver without any link has a sum of zero and an `out` of zero, and so it stays.
        let sum = self.sum.max(f32::MIN_POSITIVE);
        (1.0 / sum, self.highest + sum.log2())
    }
}

/// The first lane.
#[inline(always)]
pub(super) fn first<V: bytemuck::Pod>(vector: V) -> f32 {
    bytemuck::cast_slice::<V, f32>(std::slice::from_ref(&vector))[0]
}

/// The gradient of one row of scores.
pub(super) struct RowGradient<'a> {
    /// Products of queries and keys; becomes weights.
    pub(super) weights: &'a mut [f32],
    /// Gradients of the weights; becomes those of the products.
    pub(super) gradients: &'a mut [f32],
    /// Number of senders.
    pub(super) count: usize,
    /// Logarithm of the softmax's sum.
    pub(super) log_sum: f32,
    /// `Σ_d ∇o ⊙ o`.
    pub(super) along: f32,
    /// Gradients of links, and whether to add to them.
    pub(super) links: Option<(&'a mut [f32], bool)>,
}

impl RowGradient<'_> {
    #[inline(always)]
    pub(super) fn run<S: Simd>(self, simd: S, scoring: Scoring<'_>) {
        scoring.score(simd, self.weights, self.count);
        let log_sum = simd.splat_f32s(self.log_sum);
        let along = simd.splat_f32s(self.along);
        let weights = S::as_mut_simd_f32s(self.weights).0;
        let gradients = S::as_mut_simd_f32s(self.gradients).0;
        for (weight, gradient) in weights.iter_mut().zip(&mut *gradients) {
            *weight = exp2_or_zero(simd, simd.sub_f32s(*weight, log_sum));
            *gradient = simd.mul_f32s(*weight, simd.sub_f32s(*gradient, along));
        }
        if let Some((links, add)) = self.links {
            let (links, rest) = S::as_mut_simd_f32s(&mut links[..self.count]);
            for (link, gradient) in links.iter_mut().zip(&*gradients) {
                *link = if add {
                    simd.add_f32s(*link, *gradient)
                } else {
                    *gradient
                };
            }
            if let Some(last) = gradients.get(links.len()).filter(|_| !rest.is_empty()) {
                let before = if add {
                    simd.partial_load_f32s(rest)
                } else {
                    simd.splat_f32s(0.0)
                };
                simd.partial_store_f32s(rest, simd.add_f32s(before, *last));
            }
        }
        // The factor of `q · k`, without the change of base.
        let scale = simd.splat_f32s(scoring.scale * std::f32::consts::LN_2);
        for gradient in gradients {
            *gradient = simd.mul_f32s(*gradient, scale);
        }
    }
}

/// `Σ a ⊙ b`.
#[inline(always)]
pub(super) fn dot<S: Simd>(simd: S, a: &[f32], b: &[f32]) -> f32 {
    let (a, a_rest) = S::as_simd_f32s(a);
    let (b, b_rest) = S::as_simd_f32s(b);
    let mut sum = simd.splat_f32s(0.0);
    for (a, b) in a.iter().zip(b) {
        sum = simd.mul_add_f32s(*a, *b, sum);
    }
    if !a_rest.is_empty() {
        let (a, b) = (
            simd.partial_load_f32s(a_rest),
            simd.partial_load_f32s(b_rest),
        );
        sum = simd.mul_add_f32s(a, b, sum);
    }
    simd.reduce_sum_f32s(sum)
}

/// `row += factor · other`.
#[inline(always)]
pub(super) fn add_scaled<S: Simd>(simd: S, row: &mut [f32], other: &[f32], factor: f32) {
    let factor = simd.splat_f32s(factor);
    let (row, rest) = S::as_mut_simd_f32s(row);
    let (other, other_rest) = S::as_simd_f32s(other);
    for (x, y) in row.iter_mut().zip(other) {
        *x = simd.mul_add_f32s(*y, factor, *x);
    }
    if !rest.is_empty() {
        let (x, y) = (
            simd.partial_load_f32s(rest),
            simd.partial_load_f32s(other_rest),
        );
        simd.partial_store_f32s(rest, simd.mul_add_f32s(y, factor, x));
    }
}

/// `row ⊙ factor`.
#[inline(always)]
pub(super) fn multiply<S: Simd>(simd: S, row: &mut [f32], factor: S::f32s) {
    let (row, rest) = S::as_mut_simd_f32s(row);
    for x in row {
        *x = simd.mul_f32s(*x, factor);
    }
    if !rest.is_empty() {
        let x = simd.partial_load_f32s(rest);
        simd.partial_store_f32s(rest, simd.mul_f32s(x, factor));
    }
}
