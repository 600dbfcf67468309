//! Features times the factors of their modules.

use pulp::{Simd, WithSimd};

use super::source::Rows;

/// `y = x ⊙ factor`.
pub(crate) struct Scale<'a> {
    pub(crate) x: &'a [f32],
    pub(crate) factor: Rows<'a>,
    /// Number of the first row among those of `factor`.
    pub(crate) first: usize,
    /// Rows of `x`, one after the other, that have the same factor.
    pub(crate) repeat: usize,
    pub(crate) y: &'a mut [f32],
}

impl WithSimd for Scale<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let width = self.factor.width;
        let rows = self.x.len() / (width * self.repeat).max(1);
        if self.repeat == 1 {
            for (at, factor) in self.factor.stretches(self.first, rows) {
                let at = at..at + factor.len();
                multiply(simd, &self.x[at.clone()], factor, &mut self.y[at]);
            }
            return;
        }
        let mut at = 0;
        for factor in self.factor.each(self.first, rows) {
            for _ in 0..self.repeat {
                let (x, y) = (&self.x[at..at + width], &mut self.y[at..at + width]);
                multiply(simd, x, factor, y);
                at += width;
            }
        }
    }
}

#[inline(always)]
fn multiply<S: Simd>(simd: S, x: &[f32], factor: &[f32], y: &mut [f32]) {
    let (y, y_tail) = S::as_mut_simd_f32s(y);
    let (x, x_tail) = S::as_simd_f32s(x);
    let (factor, factor_tail) = S::as_simd_f32s(factor);
    for ((x, factor), y) in x.iter().zip(factor).zip(y) {
        *y = simd.mul_f32s(*x, *factor);
    }
    for ((x, factor), y) in x_tail.iter().zip(factor_tail).zip(y_tail) {
        *y = x * factor;
    }
}

/// With `z = x ⊙ factor`: `∇x = [∇x +] ∇z ⊙ factor` and `∇factor += ∇z ⊙ x`.
pub(crate) struct ScaleBackward<'a> {
    pub(crate) d_z: &'a [f32],
    pub(crate) x: &'a [f32],
    pub(crate) factor: Rows<'a>,
    /// Number of the first row among those of `factor`.
    pub(crate) first: usize,
    /// Rows of `x`, one after the other, that have the same factor.
    pub(crate) repeat: usize,
    pub(crate) d_x: &'a mut [f32],
    /// Whether the gradient is added to what `d_x` holds.
    pub(crate) add: bool,
    /// Starts again from the first row after the last, like the factors of all examples.
    pub(crate) d_factor: &'a mut [f32],
    /// Number of the first row among those of `d_factor`.
    pub(crate) first_sum: usize,
}

impl WithSimd for ScaleBackward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let width = self.factor.width;
        let rows = self.x.len() / (width * self.repeat).max(1);
        let mut sum = self.first_sum * width % self.d_factor.len().max(1);
        let mut at = 0;
        for factor in self.factor.each(self.first, rows) {
            let sums = &mut self.d_factor[sum..sum + width];
            for _ in 0..self.repeat {
                let part = at..at + width;
                let from = (&self.d_z[part.clone()], &self.x[part.clone()], factor);
                backward(simd, from, (&mut self.d_x[part], self.add), sums);
                at += width;
            }
            sum += width;
            if sum == self.d_factor.len() {
                sum = 0;
            }
        }
    }
}

#[inline(always)]
fn backward<S: Simd>(
    simd: S,
    (d_z, x, factor): (&[f32], &[f32], &[f32]),
    (d_x, add): (&mut [f32], bool),
    sums: &mut [f32],
) {
    let (d_z, d_z_tail) = S::as_simd_f32s(d_z);
    let (x, x_tail) = S::as_simd_f32s(x);
    let (factor, factor_tail) = S::as_simd_f32s(factor);
    let (d_x, d_x_tail) = S::as_mut_simd_f32s(d_x);
    let (sums, sums_tail) = S::as_mut_simd_f32s(sums);
    let vectors = d_z.iter().zip(x).zip(factor).zip(d_x).zip(sums);
    for ((((d_z, x), factor), d_x), sum) in vectors {
        *sum = simd.mul_add_f32s(*d_z, *x, *sum);
        *d_x = if add {
            simd.mul_add_f32s(*d_z, *factor, *d_x)
        } else {
            simd.mul_f32s(*d_z, *factor)
        };
    }
    for (i, d_z) in d_z_tail.iter().enumerate() {
        sums_tail[i] = d_z.mul_add(x_tail[i], sums_tail[i]);
        let before = if add { d_x_tail[i] } else { 0.0 };
        d_x_tail[i] = d_z.mul_add(factor_tail[i], before);
    }
}
