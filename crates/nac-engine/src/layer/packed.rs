//! Weights in the order in which products read them.

use ndarray::ArrayView2;

use super::precompute::each;
use crate::backend::{Backend, Precision};
use crate::blocks::Layout;
use crate::simd::bf16::pair;
use crate::simd::gemm::Product;
use crate::simd::int8::{Quantize, ZERO};
use crate::simd::norm::{Multiply, Pair};
use crate::simd::{PairRow, Row};

/// Outputs in groups of 8, inputs one after the other, or in pairs of bfloat16.
#[derive(Debug, Clone)]
pub(crate) enum Packed {
    /// `[outputs / 8][inputs][8]`.
    F32(Vec<[f32; 8]>),
    /// `[outputs / 8][inputs / 2][8]`.
    Bf16(Vec<[u32; 8]>),
    /// `[outputs / 8][inputs / 4][8]`, and of each output its scale and `−128 Σ w`.
    Int8 {
        weight: Vec<[u32; 8]>,
        outputs: Vec<(f32, i32)>,
    },
}

impl Packed {
    /// Packs `weight`, `[outputs, inputs]`. Rows that no feature has get zeros.
    pub(crate) fn new(
        weight: ArrayView2<'_, f32>,
        (inputs, outputs): (Layout, Layout),
        precision: Precision,
    ) -> Self {
        let depth = inputs.rows();
        let input_rows: Vec<usize> = (0..inputs.features())
            .map(|input| inputs.row(input))
            .collect();
        // The weights of each row; none where there is no feature.
        let mut features = vec![None; outputs.rows()];
        for (output, weights) in weight.outer_iter().enumerate() {
            features[outputs.row(output)] = Some(weights);
        }
        let groups = features.as_chunks::<8>().0;
        let group = |index: usize, packed: &mut [[f32; 8]]| {
            for (output, weights) in groups[index].iter().enumerate() {
                let Some(weights) = weights else { continue };
                for (row, weight) in input_rows.iter().zip(weights) {
                    packed[*row][output] = *weight;
                }
            }
        };
        match precision {
            Precision::F32 => {
                let mut packed = vec![[0.0_f32; 8]; groups.len() * depth];
                let mut parts: Vec<_> = packed.chunks_exact_mut(depth.max(1)).collect();
                each(&mut parts, |index, part| group(index, part));
                Self::F32(packed)
            }
            Precision::Bf16 => {
                let mut packed = vec![[0_u32; 8]; groups.len() * depth / 2];
                let mut parts: Vec<_> = packed.chunks_exact_mut((depth / 2).max(1)).collect();
                each(&mut parts, |index, part| {
                    let mut buffer = vec![[0.0_f32; 8]; depth];
                    group(index, &mut buffer);
                    for (pairs, two) in part.iter_mut().zip(buffer.as_chunks::<2>().0) {
                        *pairs = std::array::from_fn(|i| pair(two[0][i], two[1][i]));
                    }
                });
                Self::Bf16(packed)
            }
            Precision::Int8 => {
                let mut weight = vec![[0_u32; 8]; groups.len() * depth / 4];
                let mut outputs = vec![(0.0, 0); groups.len() * 8];
                let parts = weight.chunks_exact_mut((depth / 4).max(1));
                let mut parts: Vec<_> = parts.zip(outputs.chunks_exact_mut(8)).collect();
                each(&mut parts, |index, (weight, outputs)| {
                    let mut buffer = vec![[0.0_f32; 8]; depth];
                    group(index, &mut buffer);
                    quantize(&buffer, weight, outputs);
                });
                Self::Int8 { weight, outputs }
            }
        }
    }
    /// The product with blocks of `depth` rows, times a factor if there is one. Operands are written to `buffer` unless
    /// they are `x` itself.
    pub(super) fn product<'a>(
        &'a self,
        backend: &Backend,
        (x, depth): (&'a [Row], usize),
        factor: Option<&[Row]>,
        buffer: &'a mut [Row],
    ) -> Product<'a> {
        match (self, factor) {
            (Self::F32(weight), None) => Product::F32 { weight, x, depth },
            (Self::F32(weight), Some(factor)) => {
                let y = &mut buffer[..x.len()];
                backend.arch.dispatch(Multiply { x, factor, y });
                Product::F32 {
                    weight,
                    x: y,
                    depth,
                }
            }
            (Self::Bf16(weight), factor) => {
                let y: &mut [PairRow] = bytemuck::cast_slice_mut(&mut buffer[..x.len() / 2]);
                backend.arch.dispatch(Pair { x, factor, y });
                Product::Bf16 {
                    weight,
                    x: y,
                    depth: depth / 2,
                }
            }
            (Self::Int8 { weight, outputs }, factor) => {
                let (y, scales) = buffer.split_at_mut(x.len() / 4);
                let y: &mut [PairRow] = bytemuck::cast_slice_mut(y);
                backend.arch.dispatch(Quantize {
                    x,
                    factor,
                    depth,
                    y,
                    scales,
                });
                Product::Int8 {
                    weight,
                    outputs,
                    x: y,
                    scales,
                    depth: depth / 4,
                }
            }
        }
    }
}

/// A group, `[inputs][8]`, as 8-bit numbers `[inputs / 4][8]`, and of each output its scale and `−128 Σ w`.
fn quantize(group: &[[f32; 8]], weight: &mut [[u32; 8]], outputs: &mut [(f32, i32)]) {
    let mut scales = [f32::MIN_POSITIVE * 128.0; 8];
    for weights in group {
        for (scale, weight) in scales.iter_mut().zip(weights) {
            *scale = scale.max(weight.abs() / 127.0);
        }
    }
    let mut sums = [0_i32; 8];
    for (packed, four) in weight.iter_mut().zip(group.as_chunks::<4>().0) {
        *packed = std::array::from_fn(|i| {
            let bytes: [i8; 4] =
                std::array::from_fn(|k| (four[k][i] / scales[i]).round_ties_even() as i8);
            sums[i] += bytes.iter().map(|b| i32::from(*b)).sum::<i32>();
            u32::from_le_bytes(bytes.map(i8::cast_unsigned))
        });
    }
    for (output, (scale, sum)) in outputs.iter_mut().zip(scales.iter().zip(sums)) {
        *output = (*scale, -ZERO * sum);
    }
}
