//! Weights in the order in which products read them.

use super::Precision;
use super::at_load::each;
use crate::blocks::Layout;
use crate::simd::int8::ZERO;

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
        let places: Vec<usize> = (0..inputs.features())
            .map(|input| inputs.row(input))
            .collect();
        // The outputs of each row; none where no feature is.
        let mut features = vec![None; outputs.rows()];
        for (output, weights) in weight.chunks_exact(inputs.features()).enumerate() {
            features[outputs.row(output)] = Some(weights);
        }
        let groups = features.as_chunks::<8>().0;
        let group = |index: usize, packed: &mut [[f32; 8]]| {
            for (place, weights) in groups[index].iter().enumerate() {
                let Some(weights) = weights else { continue };
                for (row, weight) in places.iter().zip(*weights) {
                    packed[*row][place] = *weight;
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
                    let mut room = vec![[0.0_f32; 8]; depth];
                    group(index, &mut room);
                    for (pairs, two) in part.iter_mut().zip(room.as_chunks::<2>().0) {
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
                    let mut room = vec![[0.0_f32; 8]; depth];
                    group(index, &mut room);
                    quantize(&room, weight, outputs);
                });
                Self::Int8 { weight, outputs }
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
    for (place, four) in weight.iter_mut().zip(group.as_chunks::<4>().0) {
        *place = std::array::from_fn(|i| {
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

/// Both numbers rounded to bfloat16, the first in the low half.
fn pair(low: f32, high: f32) -> u32 {
    let round = |x: f32| {
        let bits = x.to_bits();
        bits.wrapping_add((bits >> 16 & 1) + 0x7fff)
    };
    (round(low) >> 16) | (round(high) & 0xffff_0000)
}
