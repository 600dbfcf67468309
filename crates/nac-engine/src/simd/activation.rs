//! First projection of a feed-forward block together with its activation.

use pulp::{Simd, WithSimd};

use super::gemm::Affine;
use super::math::gelu;
use super::row::{GROUP, Row};

/// `y = value · GELU(gate)` (GEGLU) if the second half of the outputs are gates, else `y = GELU(value)`, for some
/// blocks.
pub(crate) struct Activate<'a> {
    pub(crate) value: Affine<'a>,
    pub(crate) gated: bool,
    /// Blocks of results.
    pub(crate) y: &'a mut [Row],
}

impl WithSimd for Activate<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (mut values, mut gates) = ([Row::ZERO; GROUP], [Row::ZERO; GROUP]);
        let outputs = self.value.outputs >> usize::from(self.gated);
        let groups = outputs / GROUP;
        let blocks = self.value.product.blocks();
        for (group, block) in (0..groups).flat_map(|group| (0..blocks).map(move |b| (group, b))) {
            self.value.group(simd, group, block, &mut values);
            if self.gated {
                self.value.group(simd, groups + group, block, &mut gates);
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
            self.y[block * outputs + group * GROUP..][..GROUP].copy_from_slice(&values);
        }
    }
}

/// `x = GELU(x)`.
pub(crate) struct Gelu<'a> {
    pub(crate) rows: &'a mut [Row],
}

impl WithSimd for Gelu<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        for row in self.rows {
            for x in S::as_mut_simd_f32s(&mut row.0).0 {
                *x = gelu(simd, *x);
            }
        }
    }
}
