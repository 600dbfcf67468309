//! Weights in the order in which products read them.

use super::Precision;
use crate::engine::blocks::Layout;
use crate::engine::simd::int8::ZERO;

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
        weight: &[f32],
        outputs: Layout,
        inputs: Layout,
        precision: Precision,
    ) -> Self {
        let depth = inputs.rows();
        let mut packed = vec![[0.0_f32; 8]; outputs.rows() / 8 * depth];
        for (output, weights) in weight.chunks_exact(inputs.features()).enumerate() {
            let row = outputs.row(output);
            for (input, weight) in weights.iter().enumerate() {
                packed[row / 8 * depth + inputs.row(input)][row % 8] = *weight;
            }
        }
        match precision {
            Precision::F32 => Self::F32(packed),
            Precision::Bf16 => Self::Bf16(
                packed
                    .chunks_exact(2)
                    .map(|two| std::array::from_fn(|i| pair(two[0][i], two[1][i])))
                    .collect(),
            ),
            Precision::Int8 => Self::quantized(&packed, depth),
        }
    }

    /// `packed`, `[outputs / 8][inputs][8]`, as 8-bit numbers.
    fn quantized(packed: &[[f32; 8]], depth: usize) -> Self {
        let mut outputs = Vec::with_capacity(packed.len() / depth * 8);
        let mut weight = Vec::with_capacity(packed.len() / 4);
        for group in packed.chunks_exact(depth) {
            let mut scales = [f32::MIN_POSITIVE * 128.0; 8];
            for weights in group {
                for (scale, weight) in scales.iter_mut().zip(weights) {
                    *scale = scale.max(weight.abs() / 127.0);
                }
            }
            let mut sums = [0_i32; 8];
            for four in group.chunks_exact(4) {
                weight.push(std::array::from_fn(|i| {
                    let bytes: [i8; 4] =
                        std::array::from_fn(|k| (four[k][i] / scales[i]).round_ties_even() as i8);
                    sums[i] += bytes.iter().map(|b| i32::from(*b)).sum::<i32>();
                    u32::from_le_bytes(bytes.map(i8::cast_unsigned))
                }));
            }
            outputs.extend(
                scales
                    .iter()
                    .zip(sums)
                    .map(|(scale, sum)| (*scale, -ZERO * sum)),
            );
        }
        Self::Int8 { weight, outputs }
    }
}

/// Both numbers rounded to bfloat16, the first in the low half.
fn pair(low: f32, high: f32) -> u32 {
    let round = |x: f32| {
        let bits = x.to_bits();
        bits.wrapping_add((bits >> 16 & 1) + 0x7fff)
    };
    (round(low) >> 16) | (round(high) & 0xffff_0000)
}
