//! Sums of rows and of whole slices.

use pulp::{Simd, WithSimd};

use super::source::Rows;

/// `y = y + x`.
pub(crate) struct AddTo<'a> {
    pub(crate) x: &'a [f32],
    pub(crate) y: &'a mut [f32],
}

impl WithSimd for AddTo<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (x, x_tail) = S::as_simd_f32s(self.x);
        let (y, y_tail) = S::as_mut_simd_f32s(self.y);
        for (x, y) in x.iter().zip(y) {
            *y = simd.add_f32s(*x, *y);
        }
        for (x, y) in x_tail.iter().zip(y_tail) {
            *y += x;
        }
    }
}

/// `y = [x +] factor · y`, the end of a branch on the states `x`.
pub(crate) struct Combine<'a> {
    pub(crate) x: Option<Rows<'a>>,
    /// Number of the first row.
    pub(crate) first: usize,
    pub(crate) factor: f32,
    pub(crate) y: &'a mut [f32],
    pub(crate) width: usize,
}

impl WithSimd for Combine<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let rows = self.y.len() / self.width.max(1);
        let factor = simd.splat_f32s(self.factor);
        let Some(x) = self.x else {
            let (y, tail) = S::as_mut_simd_f32s(self.y);
            for y in y {
                *y = simd.mul_f32s(factor, *y);
            }
            for y in tail {
                *y *= self.factor;
            }
            return;
        };
        for (at, x) in x.stretches(self.first, rows) {
            let (y, y_tail) = S::as_mut_simd_f32s(&mut self.y[at..at + x.len()]);
            let (x, x_tail) = S::as_simd_f32s(x);
            for (x, y) in x.iter().zip(y) {
                *y = simd.mul_add_f32s(factor, *y, *x);
            }
            for (x, y) in x_tail.iter().zip(y_tail) {
                *y = self.factor.mul_add(*y, *x);
            }
        }
    }
}
