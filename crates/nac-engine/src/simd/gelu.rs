//! GELU by itself, and as a gate.

use pulp::{Simd, WithSimd};

use super::math::gelu;
use super::row::Row;

/// `y ← GELU(y)`.
pub(crate) struct Gelu<'a> {
    pub(crate) y: &'a mut [Row],
}

impl WithSimd for Gelu<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        for y in self.y {
            for y in S::as_mut_simd_f32s(&mut y.0).0 {
                *y = gelu(simd, *y);
            }
        }
    }
}

/// `y ← y · GELU(gate)`, row by row.
pub(crate) struct Gate<'a> {
    pub(crate) gate: &'a [Row],
    pub(crate) y: &'a mut [Row],
}

impl WithSimd for Gate<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        for (gate, y) in self.gate.iter().zip(self.y) {
            let gate = S::as_simd_f32s(&gate.0).0;
            for (gate, y) in gate.iter().zip(S::as_mut_simd_f32s(&mut y.0).0) {
                *y = simd.mul_f32s(*y, gelu(simd, *gate));
            }
        }
    }
}
