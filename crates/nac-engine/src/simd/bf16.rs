//! Products of bfloat16 pairs, summed in single precision.
//!
//! Pairs that are neighbours in the summed dimension are packed into one `u32`, the first in its low half. Where the
//! processor has `VDPBF16PS` (AVX-512 BF16) two products and both sums are one instruction; elsewhere the halves
//! are widened, which is exact, and multiplied in single precision.

use pulp::Simd;

use super::row::{GROUP, PairRow, Row, WIDTH};

/// Whether the processor has instructions for bfloat16.
pub(crate) fn is_native() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::arch::is_x86_feature_detected!("avx512bf16")
        && std::arch::is_x86_feature_detected!("avx512f");
    #[cfg(not(target_arch = "x86_64"))]
    false
}

/// `out[i] = (out[i] if accumulate) + Σ_k a[k][first + i] · b[k]` for 8 rows `i`, both halves of each pair.
#[inline(always)]
pub(crate) fn tile<S: Simd, A: AsRef<[u32]>>(
    simd: S,
    a: &[A],
    first: usize,
    b: &[PairRow],
    out: &mut [Row; GROUP],
    accumulate: bool,
) {
    if !accumulate {
        *out = [Row::ZERO; GROUP];
    }
    #[cfg(target_arch = "x86_64")]
    if is_native() {
        // SAFETY: `is_native` has just found both features that the function is compiled for.
        #[allow(unsafe_code, reason = "a call of code for a feature that was detected")]
        unsafe {
            native::tile(a, first, b, out);
        }
        return;
    }
    for (a, b) in a.iter().zip(b) {
        step(simd, &a.as_ref()[first..first + GROUP], b, out);
    }
}

/// `out[i] += Σ_k a[i][k] · b[k]` for 8 rows `i`, over the blocks that `a` and `b` give one after the other.
#[inline(always)]
pub(crate) fn tile_across<'a, S: Simd>(
    simd: S,
    blocks: impl Iterator<Item = (&'a [[u32; WIDTH / 2]; GROUP], &'a [PairRow])>,
    out: &mut [Row; GROUP],
) {
    for (a, b) in blocks {
        #[cfg(target_arch = "x86_64")]
        if is_native() {
            // SAFETY: `is_native` has just found both features that the function is compiled for.
            #[allow(unsafe_code, reason = "a call of code for a feature that was detected")]
            unsafe {
                native::tile_across(a, b, out);
            }
            continue;
        }
        for (k, b) in b.iter().enumerate() {
            let column: [u32; GROUP] = std::array::from_fn(|i| a[i][k]);
            step(simd, &column, b, out);
        }
    }
}

/// `out[i] += a[i] · b` for both halves.
#[inline(always)]
fn step<S: Simd>(simd: S, a: &[u32], b: &PairRow, out: &mut [Row; GROUP]) {
    let (sixteen, high) = (simd.splat_u32s(16), simd.splat_u32s(0xffff_0000));
    let b = S::as_simd_u32s(&b.0).0;
    for (a, out) in a.iter().zip(out) {
        let low = simd.splat_f32s(f32::from_bits(a << 16));
        let upper = simd.splat_f32s(f32::from_bits(a & 0xffff_0000));
        for (b, out) in b.iter().zip(S::as_mut_simd_f32s(&mut out.0).0) {
            let b_low = simd.transmute_f32s_u32s(simd.wrapping_dyn_shl_u32s(*b, sixteen));
            let b_upper = simd.transmute_f32s_u32s(simd.and_u32s(*b, high));
            *out = simd.mul_add_f32s(low, b_low, simd.mul_add_f32s(upper, b_upper, *out));
        }
    }
}

/// Both numbers rounded to bfloat16, the first in the low half.
pub(crate) fn pair(low: f32, high: f32) -> u32 {
    let bits = |x: f32| u32::from(half::bf16::from_f32(x).to_bits());
    bits(low) | bits(high) << 16
}

/// Neighbouring items of a row as pairs. Finite numbers only, so it needs no branch for others and vectorizes.
pub(crate) fn narrow(row: &Row, pairs: &mut [u32; WIDTH / 2]) {
    let round = |x: f32| {
        let bits = x.to_bits();
        bits.wrapping_add(((bits >> 16) & 1) + 0x7fff)
    };
    for (two, pair) in row.0.chunks_exact(2).zip(pairs) {
        *pair = (round(two[0]) >> 16) | (round(two[1]) & 0xffff_0000);
    }
}

/// The instruction itself.
#[cfg(target_arch = "x86_64")]
mod native {
    #![allow(
        unsafe_code,
        reason = "bits of vectors have no safe conversion to bfloat16"
    )]

    use std::arch::x86_64::{
        __m512, __m512bh, __m512i, _mm512_dpbf16_ps, _mm512_loadu_ps, _mm512_loadu_si512,
        _mm512_set1_epi32, _mm512_storeu_ps,
    };

    use super::{GROUP, PairRow, Row, WIDTH};

    type Sums = [[__m512; 2]; GROUP];

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn load(out: &[Row; GROUP]) -> Sums {
        // SAFETY: a row holds 32 values, so the 16 at its start and the 16 after them are in bounds of the reference.
        std::array::from_fn(|i| unsafe {
            let row = out[i].0.as_ptr();
            [_mm512_loadu_ps(row), _mm512_loadu_ps(row.add(16))]
        })
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn store(sums: &Sums, out: &mut [Row; GROUP]) {
        for (sums, out) in sums.iter().zip(out) {
            let row = out.0.as_mut_ptr();
            // SAFETY: a row holds 32 values, so the 16 at its start and the 16 after them are in bounds of the exclusive reference.
            unsafe {
                _mm512_storeu_ps(row, sums[0]);
                _mm512_storeu_ps(row.add(16), sums[1]);
            }
        }
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn operand(bits: __m512i) -> __m512bh {
        // SAFETY: both types are 512 plain bits; every pattern is a valid value of either.
        unsafe { std::mem::transmute(bits) }
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn pairs(b: &PairRow) -> [__m512bh; 2] {
        let row = b.0.as_ptr();
        // SAFETY: a row holds 32 values, so the 16 at its start and the 16 after them are in bounds of the reference.
        let halves = unsafe {
            [
                _mm512_loadu_si512(row.cast()),
                _mm512_loadu_si512(row.add(16).cast()),
            ]
        };
        halves.map(|half| operand(half))
    }

    #[target_feature(enable = "avx512f,avx512bf16")]
    pub(super) fn tile<A: AsRef<[u32]>>(
        a: &[A],
        first: usize,
        b: &[PairRow],
        out: &mut [Row; GROUP],
    ) {
        let mut sums = load(out);
        for (a, b) in a.iter().zip(b) {
            let b = pairs(b);
            let a = &a.as_ref()[first..first + GROUP];
            for i in 0..GROUP {
                let a = operand(_mm512_set1_epi32(a[i].cast_signed()));
                sums[i][0] = _mm512_dpbf16_ps(sums[i][0], a, b[0]);
                sums[i][1] = _mm512_dpbf16_ps(sums[i][1], a, b[1]);
            }
        }
        store(&sums, out);
    }

    #[target_feature(enable = "avx512f,avx512bf16")]
    pub(super) fn tile_across(
        a: &[[u32; WIDTH / 2]; GROUP],
        b: &[PairRow],
        out: &mut [Row; GROUP],
    ) {
        let mut sums = load(out);
        for (k, b) in b.iter().take(WIDTH / 2).enumerate() {
            let b = pairs(b);
            for i in 0..GROUP {
                let a = operand(_mm512_set1_epi32(a[i][k].cast_signed()));
                sums[i][0] = _mm512_dpbf16_ps(sums[i][0], a, b[0]);
                sums[i][1] = _mm512_dpbf16_ps(sums[i][1], a, b[1]);
            }
        }
        store(&sums, out);
    }
}
