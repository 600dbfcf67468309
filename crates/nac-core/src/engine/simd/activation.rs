//! First projection of a feed-forward block together with its activation.

use pulp::{Simd, WithSimd};

use super::gemm::{Product, finish};
use super::math::gelu;
use super::rows::{GROUP, Row};

/// A projection with what is done to its outputs before the activation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Branch<'a> {
    pub(crate) product: Product<'a>,
    pub(crate) output_scale: Option<&'a [Row]>,
    pub(crate) bias: Option<&'a [f32]>,
}

impl Branch<'_> {
    #[inline(always)]
    fn group<S: Simd>(&self, simd: S, group: usize, out: &mut [Row; GROUP]) {
        self.product.group(simd, group, out);
        let first = group * GROUP;
        finish(
            simd,
            out,
            self.output_scale.map(|s| &s[first..first + GROUP]),
            self.bias.map(|b| &b[first..first + GROUP]),
        );
    }
}

/// `y = value · GELU(gate)` (GEGLU), or `y = GELU(value)` without a gate.
pub(crate) struct Activate<'a> {
    pub(crate) value: Branch<'a>,
    pub(crate) gate: Option<Branch<'a>>,
    /// A multiple of 8 rows.
    pub(crate) y: &'a mut [Row],
}

impl WithSimd for Activate<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let mut gates = [Row::ZERO; GROUP];
        for (group, y) in self.y.as_chunks_mut::<GROUP>().0.iter_mut().enumerate() {
            self.value.group(simd, group, y);
            if let Some(gate) = &self.gate {
                gate.group(simd, group, &mut gates);
                for (y, gate) in y.iter_mut().zip(&gates) {
                    let gate = S::as_simd_f32s(&gate.0).0;
                    for (y, gate) in S::as_mut_simd_f32s(&mut y.0).0.iter_mut().zip(gate) {
                        *y = simd.mul_f32s(*y, gelu(simd, *gate));
                    }
                }
            } else {
                for y in y {
                    for y in S::as_mut_simd_f32s(&mut y.0).0 {
                        *y = gelu(simd, *y);
                    }
                }
            }
        }
    }
}
