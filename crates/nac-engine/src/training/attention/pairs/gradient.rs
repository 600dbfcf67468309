//! Weights, and the gradients of scores, of one sender and some receivers.

use pulp::Simd;

use crate::simd::math::exp2_or_zero;

/// One sender's products with some receivers.
pub(super) struct RowGradient<'a> {
    pub(super) log_sums: &'a [f32],
    pub(super) along: &'a [f32],
    /// Sums of the gradients of links; empty if they are not wanted.
    pub(super) links: &'a mut [f32],
    /// Products of keys and queries; becomes weights.
    pub(super) weights: &'a mut [f32],
    /// Gradients of weights; becomes those of scores.
    pub(super) gradients: &'a mut [f32],
}

impl RowGradient<'_> {
    /// `bias`: of each receiver, or of all of them.
    #[inline(always)]
    pub(super) fn run<S: Simd>(self, simd: S, bias: &[f32], same: Option<f32>) {
        let weights = S::as_mut_simd_f32s(self.weights).0;
        let gradients = S::as_mut_simd_f32s(self.gradients).0;
        let log_sums = S::as_simd_f32s(self.log_sums).0;
        let along = S::as_simd_f32s(self.along).0;
        let rows = weights.iter_mut().zip(&mut *gradients);
        let rows = rows.zip(log_sums).zip(along);
        if let Some(same) = same {
            let bias = simd.splat_f32s(same);
            for (((weight, gradient), log_sum), along) in rows {
                let score = simd.sub_f32s(simd.add_f32s(*weight, bias), *log_sum);
                *weight = exp2_or_zero(simd, score);
                *gradient = simd.mul_f32s(*weight, simd.sub_f32s(*gradient, *along));
            }
        } else {
            let rows = rows.zip(S::as_simd_f32s(bias).0);
            for ((((weight, gradient), log_sum), along), bias) in rows {
                let score = simd.sub_f32s(simd.add_f32s(*weight, *bias), *log_sum);
                *weight = exp2_or_zero(simd, score);
                *gradient = simd.mul_f32s(*weight, simd.sub_f32s(*gradient, *along));
            }
        }
        let links = S::as_mut_simd_f32s(self.links).0;
        for (link, gradient) in links.iter_mut().zip(&*gradients) {
            *link = simd.add_f32s(*link, *gradient);
        }
    }
}
