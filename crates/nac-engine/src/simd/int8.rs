//! Products of 8-bit integers, summed in 32-bit integers.
//!
//! Weights are `s_o · w` with `w` in −127..=127 and a scale for each output; items are `s_i · (q − 128)` with `q` in
//! 1..=255 and a scale for each item, computed for each input. `Σ w (q − 128) = Σ w q − 128 Σ w`, and the last sum is
//! known. Four neighbours in the summed dimension are packed into one `u32`; where the processor has `VPDPBUSD`
//! (AVX-512 VNNI) four products and their sum are one instruction.

use pulp::{Simd, WithSimd};

use super::row::{GROUP, PairRow, Row, WIDTH};

/// The zero point of items.
pub(crate) const ZERO: i32 = 128;

/// Whether the processor has instructions for 8-bit integers.
pub(crate) fn is_native() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::arch::is_x86_feature_detected!("avx512vnni")
        && std::arch::is_x86_feature_detected!("avx512f");
    #[cfg(not(target_arch = "x86_64"))]
    false
}

/// `out[i] = start[i] + Σ_k Σ_4 a[k][i] · b[k]` for 8 rows `i`; `a` are signed, `b` unsigned.
#[inline(always)]
pub(crate) fn tile(
    a: &[[u32; GROUP]],
    b: &[PairRow],
    start: &[i32; GROUP],
    out: &mut [Row; GROUP],
) {
    #[cfg(target_arch = "x86_64")]
    if is_native() {
        // SAFETY: `is_native` has just found both features that the function is compiled for.
        #[allow(unsafe_code, reason = "a call of code for a feature that was detected")]
        unsafe {
            native::tile(a, b, start, out);
        }
        return;
    }
    plain_tile(a, b, start, out);
}

fn plain_tile(a: &[[u32; GROUP]], b: &[PairRow], start: &[i32; GROUP], out: &mut [Row; GROUP]) {
    for (i, out) in out.iter_mut().enumerate() {
        let mut sums = [start[i]; WIDTH];
        for (a, b) in a.iter().zip(b) {
            let a = a[i].to_le_bytes().map(u8::cast_signed);
            for (sum, b) in sums.iter_mut().zip(&b.0) {
                let products = a.iter().zip(b.to_le_bytes());
                *sum += products
                    .map(|(a, b)| i32::from(*a) * i32::from(b))
                    .sum::<i32>();
            }
        }
        out.0 = sums.map(|sum| sum as f32);
    }
}

/// Blocks as 8-bit integers with a scale for each item: `x ⊙ factor ≈ scale · (y − 128)`.
pub(crate) struct Quantize<'a> {
    /// Blocks of `depth` rows, a multiple of 4.
    pub(crate) x: &'a [Row],
    pub(crate) factor: Option<&'a [Row]>,
    pub(crate) depth: usize,
    /// Four rows packed into one.
    pub(crate) y: &'a mut [PairRow],
    /// One row for each block.
    pub(crate) scales: &'a mut [Row],
}

impl WithSimd for Quantize<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match S::F32_LANES {
            16 => quantize::<S, 2>(simd, self),
            8 => quantize::<S, 4>(simd, self),
            4 => quantize::<S, 8>(simd, self),
            _ => quantize::<S, WIDTH>(simd, self),
        }
    }
}

#[inline(always)]
fn quantize<S: Simd, const VECTORS: usize>(simd: S, op: Quantize<'_>) {
    let blocks = op.x.chunks_exact(op.depth);
    let results = op.y.chunks_exact_mut(op.depth / 4).zip(op.scales);
    for (block, (x, (y, scale))) in blocks.zip(results).enumerate() {
        let factor = op
            .factor
            .map(|factor| &factor[block * op.depth..][..op.depth]);
        let value = |row: usize, j: usize| {
            let x = S::as_simd_f32s(&x[row].0).0[j];
            match factor {
                Some(factor) => simd.mul_f32s(x, S::as_simd_f32s(&factor[row].0).0[j]),
                None => x,
            }
        };
        // An item of zeros has the scale of the smallest number, and stays zero.
        let mut largest = [simd.splat_f32s(f32::MIN_POSITIVE * 128.0); VECTORS];
        for row in 0..op.depth {
            for (j, largest) in largest.iter_mut().enumerate() {
                *largest = simd.max_f32s(*largest, simd.abs_f32s(value(row, j)));
            }
        }
        let inverse = largest.map(|m| simd.div_f32s(simd.splat_f32s(127.0), m));
        let scales = S::as_mut_simd_f32s(&mut scale.0).0;
        for (scale, largest) in scales.iter_mut().zip(largest) {
            *scale = simd.mul_f32s(largest, simd.splat_f32s(1.0 / 127.0));
        }
        // Adding 1.5 · 2²³ leaves the integer in the low bits.
        let (round, byte) = (
            simd.splat_f32s(12_582_912.0 + ZERO as f32),
            simd.splat_u32s(0xff),
        );
        for (four, y) in y.iter_mut().enumerate() {
            let y = S::as_mut_simd_u32s(&mut y.0).0;
            for (j, y) in y.iter_mut().enumerate().take(VECTORS) {
                let mut bits = simd.splat_u32s(0);
                for index in 0..4 {
                    let x = value(4 * four + index, j);
                    let integer = simd.mul_add_f32s(x, inverse[j], round);
                    let integer = simd.and_u32s(simd.transmute_u32s_f32s(integer), byte);
                    let shift = simd.splat_u32s(8 * index as u32);
                    bits = simd.or_u32s(bits, simd.wrapping_dyn_shl_u32s(integer, shift));
                }
                *y = bits;
            }
        }
    }
}

/// The instruction itself.
#[cfg(target_arch = "x86_64")]
mod native {
    #![allow(unsafe_code, reason = "loads and stores of vectors take pointers")]

    use std::arch::x86_64::{
        __m512i, _mm512_cvtepi32_ps, _mm512_dpbusd_epi32, _mm512_loadu_si512, _mm512_set1_epi32,
        _mm512_storeu_ps,
    };

    use super::{GROUP, PairRow, Row};

    #[target_feature(enable = "avx512f,avx512vnni")]
    pub(super) fn tile(
        a: &[[u32; GROUP]],
        b: &[PairRow],
        start: &[i32; GROUP],
        out: &mut [Row; GROUP],
    ) {
        let mut sums: [[__m512i; 2]; GROUP] =
            std::array::from_fn(|i| [_mm512_set1_epi32(start[i]); 2]);
        for (a, b) in a.iter().zip(b) {
            let row = b.0.as_ptr();
            // SAFETY: a row holds 32 values, so the 16 at its start and the 16 after them are in bounds of the reference.
            let b = unsafe {
                [
                    _mm512_loadu_si512(row.cast()),
                    _mm512_loadu_si512(row.add(16).cast()),
                ]
            };
            for i in 0..GROUP {
                let a = _mm512_set1_epi32(a[i].cast_signed());
                sums[i][0] = _mm512_dpbusd_epi32(sums[i][0], b[0], a);
                sums[i][1] = _mm512_dpbusd_epi32(sums[i][1], b[1], a);
            }
        }
        for (sums, out) in sums.iter().zip(out) {
            let row = out.0.as_mut_ptr();
            // SAFETY: a row holds 32 values, so the 16 at its start and the 16 after them are in bounds of the exclusive reference.
            unsafe {
                _mm512_storeu_ps(row, _mm512_cvtepi32_ps(sums[0]));
                _mm512_storeu_ps(row.add(16), _mm512_cvtepi32_ps(sums[1]));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_instruction_computes_what_the_plain_loop_computes() {
        let number = |i: usize| (i as u32).wrapping_mul(2_654_435_761) ^ (i as u32) << 7;
        let a: Vec<[u32; GROUP]> = (0..13)
            .map(|k| std::array::from_fn(|i| number(31 * k + i)))
            .collect();
        let b: Vec<PairRow> = (0..13)
            .map(|k| PairRow(std::array::from_fn(|i| number(977 * k + 3 * i))))
            .collect();
        let start = std::array::from_fn(|i| 1000 * i as i32 - 3000);
        let mut found = [[Row::ZERO; GROUP]; 2];
        tile(&a, &b, &start, &mut found[0]);
        plain_tile(&a, &b, &start, &mut found[1]);
        for (x, y) in found[0].iter().zip(&found[1]) {
            assert_eq!(x.0, y.0);
        }
        assert!(found[0][3].0[5] != 0.0);
    }

    #[test]
    fn quantized_items_come_back() {
        let x: Vec<Row> = (0..16)
            .map(|k| {
                Row(std::array::from_fn(|i| {
                    ((k * 37 + i * 11) % 29) as f32 - 14.0
                }))
            })
            .collect();
        let mut x = x;
        x.iter_mut().for_each(|row| row.0[9] = 0.0);
        let factor: Vec<Row> = (0..16)
            .map(|k| Row([0.5 + k as f32 / 16.0; WIDTH]))
            .collect();
        let (mut y, mut scales) = (vec![PairRow([0; WIDTH]); 4], vec![Row::ZERO; 2]);
        pulp::Arch::new().dispatch(Quantize {
            x: &x,
            factor: Some(&factor),
            depth: 8,
            y: &mut y,
            scales: &mut scales,
        });
        for (row, (x, factor)) in x.iter().zip(&factor).enumerate() {
            for lane in 0..WIDTH {
                let q = y[row / 4].0[lane].to_le_bytes()[row % 4];
                let scale = scales[row / 8].0[lane];
                let value = (i32::from(q) - ZERO) as f32 * scale;
                let error = (value - x.0[lane] * factor.0[lane]).abs();
                assert!(error <= 0.51 * scale, "{row} {lane}: {error} {scale}");
            }
        }
    }
}
