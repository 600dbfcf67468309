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
    fn group<S: Simd>(
        &self,
        simd: S,
        (group, block, outputs): (usize, usize, usize),
        out: &mut [Row; GROUP],
    ) {
        self.product.group(simd, group, block, out);
        let first = group * GROUP;
        let scale = self
            .output_scale
            .map(|s| &s[block * outputs + first..][..GROUP]);
        finish(
            simd,
            out,
            scale,
            self.bias.map(|b| &b[first..first + GROUP]),
        );
    }
}

/// `y = value · GELU(gate)` (GEGLU), or `y = GELU(value)` without a gate, for some blocks.
pub(crate) struct Activate<'a> {
    pub(crate) value: Branch<'a>,
    pub(crate) gate: Option<Branch<'a>>,
    /// Number of outputs, a multiple of 8.
    pub(crate) outputs: usize,
    /// Blocks of results.
    pub(crate) y: &'a mut [Row],
}

impl WithSimd for Activate<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (mut values, mut gates) = ([Row::ZERO; GROUP], [Row::ZERO; GROUP]);
        let blocks = self.value.product.blocks();
        let places =
            (0..self.outputs / GROUP).flat_map(|group| (0..blocks).map(move |b| (group, b)));
        for (group, block) in places {
            let place = (group, block, self.outputs);
            self.value.group(simd, place, &mut values);
            if let Some(gate) = &self.gate {
                gate.group(simd, place, &mut gates);
                for (y, gate) in values.iter_mut().zip(&gates) {
                    let gate = S::as_simd_f32s(&gate.0).0;
                    for (y, gate) in S::as_mut_simd_f32s(&mut y.0).0.iter_mut().zip(gate) {
                        *y = simd.mul_f32s(*y, gelu(simd, *gate));
                    }
                }
            } else {
                for y in &mut values {
                    for y in S::as_mut_simd_f32s(&mut y.0).0 {
                        *y = gelu(simd, *y);
                    }
                }
            }
            self.y[block * self.outputs + group * GROUP..][..GROUP].copy_from_slice(&values);
        }
    }
}
