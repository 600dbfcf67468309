//! Layers on blocks of items, with everything that does not depend on the input computed when they are loaded.

mod at_load;
mod feed_forward;
mod norm;
mod packed;
mod projection;

pub(crate) use at_load::matrix;
pub(crate) use feed_forward::{FeedForward, layer_scale};
pub(crate) use norm::Norm;
pub(crate) use packed::Packed;
pub(crate) use projection::{Modulation, Projection, Target};

use super::simd::gemm::Product;
use super::simd::int8::Quantize;
use super::simd::norm::{Multiply, Pair};
use super::simd::{PairRow, Row};

/// Kind of numbers that matrix products take in. States, layer norms, softmax and activations are always in single
/// precision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// Single precision: the same numbers as training, but for rounding.
    #[default]
    F32,
    /// Weights and what they are multiplied with are rounded to bfloat16 (8 bits of fraction); sums are in single
    /// precision. Fast where the processor has AVX-512 BF16.
    Bf16,
    /// Weights of circuits are 8-bit numbers with a scale for each output, and what they are multiplied with 8-bit
    /// numbers with a scale for each module, found for each input. Tokenizer, attention and head are as with
    /// [`Precision::Bf16`]. Fast where the processor has AVX-512 VNNI.
    Int8,
}

impl Precision {
    /// That of keys, queries and values, and of tokenizers and heads.
    pub(crate) fn at_the_ends(self) -> Self {
        match self {
            Self::F32 => Self::F32,
            Self::Bf16 | Self::Int8 => Self::Bf16,
        }
    }
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
    Int8 { x: &'a [PairRow], scales: &'a [Row] },
}

impl<'a> Operand<'a> {
    /// Blocks of `depth` rows, times a factor if there is one, for products with `weight`; written to `room` where they
    /// are not `x` itself.
    pub(crate) fn new(
        tools: &Tools,
        weight: &Packed,
        (x, depth): (&'a [Row], usize),
        factor: Option<&[Row]>,
        room: &'a mut [Row],
    ) -> Self {
        match (weight, factor) {
            (Packed::F32(_), None) => Self::F32(x),
            (Packed::F32(_), Some(factor)) => {
                let y = &mut room[..x.len()];
                tools.arch.dispatch(Multiply { x, factor, y });
                Self::F32(y)
            }
            (Packed::Bf16(_), factor) => {
                let y: &mut [PairRow] = bytemuck::cast_slice_mut(&mut room[..x.len() / 2]);
                tools.arch.dispatch(Pair { x, factor, y });
                Self::Bf16(y)
            }
            (Packed::Int8 { .. }, factor) => {
                let (y, scales) = room.split_at_mut(x.len() / 4);
                let y: &mut [PairRow] = bytemuck::cast_slice_mut(y);
                tools.arch.dispatch(Quantize {
                    x,
                    factor,
                    depth,
                    y,
                    scales,
                });
                Self::Int8 { x: y, scales }
            }
        }
    }

    /// With weights of `depth` rows of inputs, packed like those that the operand was made for.
    pub(crate) fn times(self, weight: &'a Packed, depth: usize) -> Product<'a> {
        match (self, weight) {
            (Self::F32(x), Packed::F32(weight)) => Product::F32 { weight, x, depth },
            (Self::Bf16(x), Packed::Bf16(weight)) => Product::Bf16 {
                weight,
                x,
                depth: depth / 2,
            },
            (Self::Int8 { x, scales }, Packed::Int8 { weight, outputs }) => Product::Int8 {
                weight,
                outputs,
                x,
                scales,
                depth: depth / 4,
            },
            // An operand is made for one kind of weights; without blocks there is no product.
            (_, Packed::F32(weight)) => Product::F32 {
                weight,
                x: &[],
                depth,
            },
            (_, Packed::Bf16(weight) | Packed::Int8 { weight, .. }) => Product::Bf16 {
                weight,
                x: &[],
                depth,
            },
        }
    }
}
