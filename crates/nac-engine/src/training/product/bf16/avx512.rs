//! Blocks of results by the dot products of AVX-512 BF16: 8 rows × 2 vectors of sums stay in registers.

use std::arch::x86_64::{
    __m512bh, _mm512_dpbf16_ps, _mm512_loadu_si512, _mm512_set1_epi32, _mm512_setzero_ps,
    _mm512_storeu_ps,
};

use super::{BLOCK, Sums};

/// Rows of sums that are in registers.
const ROWS: usize = 8;

/// Whether the processor has the instruction.
pub(super) fn is_there() -> bool {
    std::arch::is_x86_feature_detected!("avx512bf16")
        && std::arch::is_x86_feature_detected!("avx512f")
}

/// `sums = a b`: 32 rows of `a`, each `pairs` long, times a panel of `b`.
#[inline]
pub(super) fn block(a: &[u32], b: &[u32], pairs: usize, sums: &mut Sums) {
    // SAFETY: an `Entered` exists only where `Unit::all` has found both features that the function is compiled for.
    #[allow(unsafe_code, reason = "a call of code for a feature that was detected")]
    unsafe {
        native(a, b, pairs, sums);
    }
}

#[target_feature(enable = "avx512f,avx512bf16")]
fn native(a: &[u32], b: &[u32], pairs: usize, sums: &mut Sums) {
    let b = &b.as_chunks::<BLOCK>().0[..pairs];
    for (group, out) in sums.0.as_chunks_mut::<ROWS>().0.iter_mut().enumerate() {
        let rows: [&[u32]; ROWS] =
            std::array::from_fn(|i| &a[(group * ROWS + i) * pairs..][..pairs]);
        let mut sums = [[_mm512_setzero_ps(); 2]; ROWS];
        for (k, b) in b.iter().enumerate() {
            let b = vectors(b);
            for i in 0..ROWS {
                let a = operand(_mm512_set1_epi32(rows[i][k].cast_signed()));
                sums[i][0] = _mm512_dpbf16_ps(sums[i][0], a, b[0]);
                sums[i][1] = _mm512_dpbf16_ps(sums[i][1], a, b[1]);
            }
        }
        for (sums, out) in sums.iter().zip(out) {
            let out = out.as_mut_ptr();
            // SAFETY: a row holds 32 numbers, so the 16 at its start and the 16 after them are in bounds.
            #[allow(unsafe_code, reason = "there is no safe store of a vector")]
            unsafe {
                _mm512_storeu_ps(out, sums[0]);
                _mm512_storeu_ps(out.add(16), sums[1]);
            }
        }
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn vectors(b: &[u32; BLOCK]) -> [__m512bh; 2] {
    let b = b.as_ptr();
    // SAFETY: the array holds 32 numbers, so the 16 at its start and the 16 after them are in bounds.
    #[allow(unsafe_code, reason = "there is no safe load of a vector")]
    let halves = unsafe {
        [
            _mm512_loadu_si512(b.cast()),
            _mm512_loadu_si512(b.add(16).cast()),
        ]
    };
    halves.map(|half| operand(half))
}

#[inline]
#[target_feature(enable = "avx512f")]
fn operand(bits: std::arch::x86_64::__m512i) -> __m512bh {
    // SAFETY: both types are 512 plain bits; every pattern is a valid value of either.
    #[allow(unsafe_code, reason = "there is no safe conversion to bfloat16")]
    unsafe {
        std::mem::transmute(bits)
    }
}
