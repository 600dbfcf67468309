//! A matrix of packed weights times a block of items, and what is done to the result while it is in registers.

use pulp::{Simd, WithSimd};

use super::row::{GROUP, PairRow, Row};
use super::{bf16, int8, tile};

/// Weights and blocks of items to multiply, in one precision.
///
/// Weights are packed by 8 outputs: `[outputs / 8][inputs][8]`, for bfloat16 `[outputs / 8][inputs / 2][8]`
/// pairs, for 8-bit integers `[outputs / 8][inputs / 4][8]` groups of four.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Product<'a> {
    F32 {
        weight: &'a [[f32; GROUP]],
        /// Blocks one after the other, each of `depth` rows.
        x: &'a [Row],
        depth: usize,
    },
    Bf16 {
        weight: &'a [[u32; GROUP]],
        x: &'a [PairRow],
        depth: usize,
    },
    Int8 {
        weight: &'a [[u32; GROUP]],
        /// Scale and `−128 Σ w` of each output.
        outputs: &'a [(f32, i32)],
        x: &'a [PairRow],
        /// One row for each block.
        scales: &'a [Row],
        depth: usize,
    },
}

impl Product<'_> {
    /// Number of blocks of items.
    pub(crate) fn blocks(&self) -> usize {
        match *self {
            Self::F32 { x, depth, .. } => x.len() / depth,
            Self::Bf16 { x, depth, .. } | Self::Int8 { x, depth, .. } => x.len() / depth,
        }
    }

    /// Outputs `8 · group` and the 7 after it, of one block of items.
    #[inline(always)]
    pub(crate) fn group<S: Simd>(
        &self,
        simd: S,
        group: usize,
        block: usize,
        out: &mut [Row; GROUP],
    ) {
        match *self {
            Self::F32 { weight, x, depth } => {
                let weight = &weight[group * depth..][..depth];
                let x = &x[block * depth..][..depth];
                tile::tile(simd, weight, 0, x, out, false);
            }
            Self::Bf16 { weight, x, depth } => {
                let weight = &weight[group * depth..][..depth];
                let x = &x[block * depth..][..depth];
                bf16::tile(simd, weight, 0, x, out, false);
            }
            Self::Int8 {
                weight,
                outputs,
                x,
                scales,
                depth,
            } => {
                let weight = &weight[group * depth..][..depth];
                let x = &x[block * depth..][..depth];
                let outputs = &outputs[group * GROUP..][..GROUP];
                int8::tile(weight, x, &std::array::from_fn(|i| outputs[i].1), out);
                let items = S::as_simd_f32s(&scales[block].0).0;
                for (out, (scale, _)) in out.iter_mut().zip(outputs) {
                    let scale = simd.splat_f32s(*scale);
                    for (y, item) in S::as_mut_simd_f32s(&mut out.0).0.iter_mut().zip(items) {
                        *y = simd.mul_f32s(*y, simd.mul_f32s(scale, *item));
                    }
                }
            }
        }
    }
}

/// `W x ⊙ output_scale + bias` for some blocks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Affine<'a> {
    pub(crate) product: Product<'a>,
    /// Number of outputs, a multiple of 8.
    pub(crate) outputs: usize,
    /// One factor per output and item, block by block.
    pub(crate) output_scale: Option<&'a [Row]>,
    /// One per output.
    pub(crate) bias: Option<&'a [f32]>,
}

impl Affine<'_> {
    /// Outputs `8 · group` and the 7 after it, of one block of items.
    #[inline(always)]
    pub(crate) fn group<S: Simd>(
        &self,
        simd: S,
        group: usize,
        block: usize,
        out: &mut [Row; GROUP],
    ) {
        self.product.group(simd, group, block, out);
        let first = group * GROUP;
        if let Some(scale) = self.output_scale {
            let scale = &scale[block * self.outputs + first..][..GROUP];
            for (sum, scale) in out.iter_mut().zip(scale) {
                let scale = S::as_simd_f32s(&scale.0).0;
                for (sum, scale) in S::as_mut_simd_f32s(&mut sum.0).0.iter_mut().zip(scale) {
                    *sum = simd.mul_f32s(*sum, *scale);
                }
            }
        }
        if let Some(bias) = self.bias {
            for (sum, bias) in out.iter_mut().zip(&bias[first..][..GROUP]) {
                let bias = simd.splat_f32s(*bias);
                for sum in S::as_mut_simd_f32s(&mut sum.0).0 {
                    *sum = simd.add_f32s(*sum, bias);
                }
            }
        }
    }
}

/// `y = [y +] gamma ⊙ (W x ⊙ output_scale + bias)` for some blocks: each group of weights is read once for all of them.
pub(crate) struct Gemm<'a> {
    pub(crate) term: Affine<'a>,
    /// One factor per output (layer scale).
    pub(crate) gamma: Option<&'a [f32]>,
    /// Whether the result is added to what `y` holds.
    pub(crate) add: bool,
    /// Blocks of results, one every `stride` rows.
    pub(crate) y: &'a mut [Row],
    pub(crate) stride: usize,
}

impl WithSimd for Gemm<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let mut sums = [Row::ZERO; GROUP];
        let (groups, blocks) = (self.term.outputs / GROUP, self.term.product.blocks());
        for (group, block) in (0..groups).flat_map(|group| (0..blocks).map(move |b| (group, b))) {
            self.term.group(simd, group, block, &mut sums);
            let first = group * GROUP;
            let y = &mut self.y[block * self.stride + first..][..GROUP];
            for i in 0..GROUP {
                let y = S::as_mut_simd_f32s(&mut y[i].0).0;
                let gamma = simd.splat_f32s(self.gamma.map_or(1.0, |gamma| gamma[first + i]));
                for (y, sum) in y.iter_mut().zip(S::as_simd_f32s(&sums[i].0).0) {
                    *y = match (self.add, self.gamma.is_some()) {
                        (true, _) => simd.mul_add_f32s(gamma, *sum, *y),
                        (false, true) => simd.mul_f32s(gamma, *sum),
                        (false, false) => *sum,
                    };
                }
            }
        }
    }
}
