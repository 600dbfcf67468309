//! Layer norm of rows, and its gradient.
//!
//! `y = x̂ ⊙ gain + bias` with `x̂ = (x − mean) / √(var + ε)`. Only mean and reciprocal deviation of each row are kept; the
//! backward pass computes `x̂` again. With `g = ∇y ⊙ gain` over `n` features:
//! `∇x = (g − Σg/n − x̂ · Σ(g ⊙ x̂)/n) / √(var + ε)`, `∇gain = Σ_rows ∇y ⊙ x̂`, `∇bias = Σ_rows ∇y`.

use pulp::{Simd, WithSimd};

use super::source::Rows;

/// Added to the variance.
pub(crate) const EPSILON: f32 = 1e-5;

/// Gain and bias, or neither.
type Affine<'a> = Option<(&'a [f32], &'a [f32])>;

/// `y = x̂ ⊙ gain + bias`; keeps mean and reciprocal deviation of each row.
pub(crate) struct Normalize<'a> {
    pub(crate) x: Rows<'a>,
    /// Number of the first row.
    pub(crate) first: usize,
    pub(crate) affine: Affine<'a>,
    /// `[rows, 2]`
    pub(crate) statistics: &'a mut [f32],
    pub(crate) y: &'a mut [f32],
}

impl WithSimd for Normalize<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let width = self.x.width;
        let rows = self.y.len() / width.max(1);
        for (row, x) in self.x.each(self.first, rows).enumerate() {
            let (mean, deviation) = moments(simd, x);
            self.statistics[2 * row] = mean;
            self.statistics[2 * row + 1] = deviation;
            let y = &mut self.y[row * width..(row + 1) * width];
            apply(simd, x, (mean, deviation), self.affine, y);
        }
    }
}

/// As [`Normalize`], with statistics that are known.
pub(crate) struct NormalizeAgain<'a> {
    pub(crate) x: Rows<'a>,
    /// Number of the first row.
    pub(crate) first: usize,
    pub(crate) affine: Affine<'a>,
    /// `[rows, 2]`
    pub(crate) statistics: &'a [f32],
    pub(crate) y: &'a mut [f32],
}

impl WithSimd for NormalizeAgain<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let width = self.x.width;
        let rows = self.y.len() / width.max(1);
        for (row, x) in self.x.each(self.first, rows).enumerate() {
            let statistics = (self.statistics[2 * row], self.statistics[2 * row + 1]);
            let y = &mut self.y[row * width..(row + 1) * width];
            apply(simd, x, statistics, self.affine, y);
        }
    }
}

/// Gradient of [`Normalize`].
pub(crate) struct NormalizeBackward<'a> {
    pub(crate) x: Rows<'a>,
    /// Number of the first row.
    pub(crate) first: usize,
    /// `[rows, 2]`
    pub(crate) statistics: &'a [f32],
    /// Gradient of the result.
    pub(crate) d_y: &'a [f32],
    /// Added to the gradient of `x`, in the rows of `d_y`.
    pub(crate) added: Option<&'a [f32]>,
    pub(crate) d_x: &'a mut [f32],
    pub(crate) affine: Option<AffineBackward<'a>>,
}

/// The gain, and the sums that the gradients of gain and bias are added to.
pub(crate) struct AffineBackward<'a> {
    pub(crate) gain: &'a [f32],
    pub(crate) d_gain: &'a mut [f32],
    pub(crate) d_bias: &'a mut [f32],
}

impl WithSimd for NormalizeBackward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let width = self.x.width;
        let rows = self.d_y.len() / width.max(1);
        for (row, x) in self.x.each(self.first, rows).enumerate() {
            let at = row * width..(row + 1) * width;
            let d_y = &self.d_y[at.clone()];
            let statistics = (self.statistics[2 * row], self.statistics[2 * row + 1]);
            let d_x = &mut self.d_x[at.clone()];
            match &mut self.affine {
                Some(affine) => row_backward(simd, x, statistics, d_y, affine, d_x),
                None => plain_row_backward(simd, x, statistics, d_y, d_x),
            }
            if let Some(added) = self.added {
                let (added, added_tail) = S::as_simd_f32s(&added[at]);
                let (d_x, d_x_tail) = S::as_mut_simd_f32s(d_x);
                for (d_x, added) in d_x.iter_mut().zip(added) {
                    *d_x = simd.add_f32s(*d_x, *added);
                }
                for (d_x, added) in d_x_tail.iter_mut().zip(added_tail) {
                    *d_x += added;
                }
            }
        }
    }
}

/// Mean and reciprocal deviation.
#[inline(always)]
fn moments<S: Simd>(simd: S, x: &[f32]) -> (f32, f32) {
    let per_feature = 1.0 / x.len() as f32;
    let (vectors, tail) = S::as_simd_f32s(x);
    let mut sum = simd.partial_load_f32s(tail);
    for x in vectors {
        sum = simd.add_f32s(sum, *x);
    }
    let mean = simd.reduce_sum_f32s(sum) * per_feature;
    let shift = simd.splat_f32s(mean);
    let mut squares = simd.splat_f32s(0.0);
    for x in vectors {
        let off = simd.sub_f32s(*x, shift);
        squares = simd.mul_add_f32s(off, off, squares);
    }
    let mut variance = simd.reduce_sum_f32s(squares);
    for x in tail {
        variance = (x - mean).mul_add(x - mean, variance);
    }
    (mean, 1.0 / variance.mul_add(per_feature, EPSILON).sqrt())
}

#[inline(always)]
fn apply<S: Simd>(
    simd: S,
    x: &[f32],
    (mean, deviation): (f32, f32),
    affine: Affine<'_>,
    y: &mut [f32],
) {
    let (shift, factor) = (simd.splat_f32s(mean), simd.splat_f32s(deviation));
    let (x, x_tail) = S::as_simd_f32s(x);
    let (y, y_tail) = S::as_mut_simd_f32s(y);
    let Some((gain, bias)) = affine else {
        for (x, y) in x.iter().zip(y) {
            *y = simd.mul_f32s(simd.sub_f32s(*x, shift), factor);
        }
        for (x, y) in x_tail.iter().zip(y_tail) {
            *y = (x - mean) * deviation;
        }
        return;
    };
    let (gain, gain_tail) = S::as_simd_f32s(gain);
    let (bias, bias_tail) = S::as_simd_f32s(bias);
    for (((x, y), gain), bias) in x.iter().zip(y).zip(gain).zip(bias) {
        let normal = simd.mul_f32s(simd.sub_f32s(*x, shift), factor);
        *y = simd.mul_add_f32s(normal, *gain, *bias);
    }
    for (i, x) in x_tail.iter().enumerate() {
        y_tail[i] = ((x - mean) * deviation).mul_add(gain_tail[i], bias_tail[i]);
    }
}

#[inline(always)]
fn row_backward<S: Simd>(
    simd: S,
    x: &[f32],
    (mean, deviation): (f32, f32),
    d_y: &[f32],
    affine: &mut AffineBackward<'_>,
    d_x: &mut [f32],
) {
    let per_feature = 1.0 / x.len() as f32;
    let (shift, factor) = (simd.splat_f32s(mean), simd.splat_f32s(deviation));
    let (x, x_tail) = S::as_simd_f32s(x);
    let (d_y, d_y_tail) = S::as_simd_f32s(d_y);
    let (gain, gain_tail) = S::as_simd_f32s(affine.gain);
    let (d_gain, d_gain_tail) = S::as_mut_simd_f32s(&mut *affine.d_gain);
    let (d_bias, d_bias_tail) = S::as_mut_simd_f32s(&mut *affine.d_bias);
    let (d_x, d_x_tail) = S::as_mut_simd_f32s(d_x);
    let mut sum = simd.splat_f32s(0.0);
    let mut along = sum;
    let vectors = x.iter().zip(d_y).zip(gain).zip(d_gain).zip(d_bias);
    for ((((x, d_y), gain), d_gain), d_bias) in vectors {
        let normal = simd.mul_f32s(simd.sub_f32s(*x, shift), factor);
        *d_gain = simd.mul_add_f32s(*d_y, normal, *d_gain);
        *d_bias = simd.add_f32s(*d_y, *d_bias);
        let g = simd.mul_f32s(*d_y, *gain);
        sum = simd.add_f32s(sum, g);
        along = simd.mul_add_f32s(g, normal, along);
    }
    let (mut sum, mut along) = (simd.reduce_sum_f32s(sum), simd.reduce_sum_f32s(along));
    for (i, x) in x_tail.iter().enumerate() {
        let normal = (x - mean) * deviation;
        d_gain_tail[i] = d_y_tail[i].mul_add(normal, d_gain_tail[i]);
        d_bias_tail[i] += d_y_tail[i];
        let g = d_y_tail[i] * gain_tail[i];
        sum += g;
        along = g.mul_add(normal, along);
    }
    let (sum, along) = (
        sum * per_feature * deviation,
        along * per_feature * deviation,
    );
    // ∇x = deviation · ∇y ⊙ gain − sum − x̂ · along
    let (sums, alongs) = (simd.splat_f32s(sum), simd.splat_f32s(along));
    for (((x, d_y), gain), d_x) in x.iter().zip(d_y).zip(gain).zip(d_x) {
        let normal = simd.mul_f32s(simd.sub_f32s(*x, shift), factor);
        let g = simd.mul_f32s(simd.mul_f32s(*d_y, *gain), factor);
        *d_x = simd.sub_f32s(simd.sub_f32s(g, sums), simd.mul_f32s(normal, alongs));
    }
    for (i, x) in x_tail.iter().enumerate() {
        let normal = (x - mean) * deviation;
        d_x_tail[i] = d_y_tail[i] * gain_tail[i] * deviation - sum - normal * along;
    }
}

/// [`row_backward`] without gain and bias.
#[inline(always)]
fn plain_row_backward<S: Simd>(
    simd: S,
    x: &[f32],
    (mean, deviation): (f32, f32),
    d_y: &[f32],
    d_x: &mut [f32],
) {
    let per_feature = 1.0 / x.len() as f32;
    let (shift, factor) = (simd.splat_f32s(mean), simd.splat_f32s(deviation));
    let (x, x_tail) = S::as_simd_f32s(x);
    let (d_y, d_y_tail) = S::as_simd_f32s(d_y);
    let (d_x, d_x_tail) = S::as_mut_simd_f32s(d_x);
    let mut sum = simd.splat_f32s(0.0);
    let mut along = sum;
    for (x, d_y) in x.iter().zip(d_y) {
        let normal = simd.mul_f32s(simd.sub_f32s(*x, shift), factor);
        sum = simd.add_f32s(sum, *d_y);
        along = simd.mul_add_f32s(*d_y, normal, along);
    }
    let (mut sum, mut along) = (simd.reduce_sum_f32s(sum), simd.reduce_sum_f32s(along));
    for (x, d_y) in x_tail.iter().zip(d_y_tail) {
        sum += d_y;
        along = d_y.mul_add((x - mean) * deviation, along);
    }
    let (sum, along) = (
        sum * per_feature * deviation,
        along * per_feature * deviation,
    );
    let (sums, alongs) = (simd.splat_f32s(sum), simd.splat_f32s(along));
    for ((x, d_y), d_x) in x.iter().zip(d_y).zip(d_x) {
        let normal = simd.mul_f32s(simd.sub_f32s(*x, shift), factor);
        let g = simd.mul_f32s(*d_y, factor);
        *d_x = simd.sub_f32s(simd.sub_f32s(g, sums), simd.mul_f32s(normal, alongs));
    }
    for ((x, d_y), d_x) in x_tail.iter().zip(d_y_tail).zip(d_x_tail) {
        *d_x = d_y * deviation - sum - (x - mean) * deviation * along;
    }
}
