//! Weights in the order in which products read them.

use super::Precision;
use crate::engine::blocks::Layout;

/// Outputs in groups of 8, inputs one after the other, or in pairs of bfloat16.
#[derive(Debug, Clone)]
pub(crate) enum Packed {
    /// `[outputs / 8][inputs][8]`.
    F32(Vec<[f32; 8]>),
    /// `[outputs / 8][inputs / 2][8]`.
    Bf16(Vec<[u32; 8]>),
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
        }
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
