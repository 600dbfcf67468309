//! Layers on blocks of items, with everything that does not depend on the input computed when they are loaded.

mod at_load;
mod feed_forward;
mod norm;
mod packed;
mod projection;

pub(crate) use feed_forward::{FeedForward, layer_scale};
pub(crate) use at_load::matrix;
pub(crate) use norm::Norm;
pub(crate) use packed::Packed;
pub(crate) use projection::{Modulation, Projection, Target};

use super::simd::gemm::Product;
use super::simd::norm::{Multiply, Pair};
use super::simd::{PairRow, Row};

/// Kind of numbers that matrix products take in. Sums are always in single precision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// Single precision: the same numbers as training, but for rounding.
    #[default]
    F32,
    /// Weights and what they are multiplied with are rounded to bfloat16 (8 bits of fraction). Layer norms, softmax,
    /// activations and states stay in single precision.
    Bf16,
}

/// What every layer needs to run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tools {
    pub(crate) arch: pulp::Arch,
    pub(crate) precision: Precision,
}

impl Tools {
    pub(crate) fn new(precision: Precision) -> Self {
        Self {
            arch: pulp::Arch::new(),
            precision,
        }
    }
}

/// Blocks in the kind of numbers that products take.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Operand<'a> {
    F32(&'a [Row]),
    Bf16(&'a [PairRow]),
}

impl<'a> Operand<'a> {
    /// `x`, times a factor if there is one; written to `room` where it is not `x` itself.
    pub(crate) fn new(
        tools: &Tools,
        x: &'a [Row],
        factor: Option<&[Row]>,
        room: &'a mut [Row],
    ) -> Self {
        match (tools.precision, factor) {
            (Precision::F32, None) => Self::F32(x),
            (Precision::F32, Some(factor)) => {
                let y = &mut room[..x.len()];
                tools.arch.dispatch(Multiply { x, factor, y });
                Self::F32(y)
            }
            (Precision::Bf16, factor) => {
                let y: &mut [PairRow] = bytemuck::cast_slice_mut(&mut room[..x.len() / 2]);
                tools.arch.dispatch(Pair { x, factor, y });
                Self::Bf16(y)
            }
        }
    }

    /// With weights of `depth` rows of inputs that are packed in the same kind of numbers.
    pub(crate) fn times(self, weight: &'a Packed, depth: usize) -> Product<'a> {
        let pairs = depth / 2;
        match (self, weight) {
            (Self::F32(x), Packed::F32(weight)) => Product::F32 { weight, x, depth },
            (Self::Bf16(x), Packed::Bf16(weight)) => Product::Bf16 {
                weight,
                x,
                depth: pairs,
            },
            // Both come from one precision; without blocks there is no product.
            (Self::F32(_), Packed::Bf16(weight)) => Product::Bf16 {
                weight,
                x: &[],
                depth: pairs,
            },
            (Self::Bf16(_), Packed::F32(weight)) => Product::F32 {
                weight,
                x: &[],
                depth,
            },
        }
    }
}
