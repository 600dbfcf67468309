//! Blocks of results by the dot products of AVX-512 BF16: 8 rows × 2 vectors of sums stay in registers. And squares turned
//! over in registers.

use std::arch::x86_64::{
    __m512bh, __m512i, _mm512_castps_si512, _mm512_castsi512_ps, _mm512_dpbf16_ps,
    _mm512_loadu_si512, _mm512_set1_epi32, _mm512_setzero_ps, _mm512_setzero_si512,
    _mm512_shuffle_i32x4, _mm512_storeu_si512, _mm512_unpackhi_epi32, _mm512_unpackhi_epi64,
    _mm512_unpacklo_epi32, _mm512_unpacklo_epi64,
};

use super::{BLOCK, SQUARE};

/// Rows of sums that are in registers.
const ROWS: usize = 8;

/// Whether the processor has the instruction.
pub(super) fn is_there() -> bool {
    std::arch::is_x86_feature_detected!("avx512bf16")
        && std::arch::is_x86_feature_detected!("avx512f")
}

/// As [`Entered::block`](super::unit::Entered::block).
#[inline]
pub(super) fn block(
    operands: (&[u32], &[u32], usize),
    start: Option<&[f32; BLOCK]>,
    c: (&mut [f32], usize),
) {
    assert!(is_there());
    // SAFETY: both features that the function is compiled for are there, as just asserted.
    #[allow(unsafe_code, reason = "a call of code for a feature that was detected")]
    unsafe {
        native(operands, start, c);
    }
}

#[target_feature(enable = "avx512f,avx512bf16")]
fn native(
    (a, b, pairs): (&[u32], &[u32], usize),
    start: Option<&[f32; BLOCK]>,
    (c, c_stride): (&mut [f32], usize),
) {
    let b = &b.as_chunks::<BLOCK>().0[..pairs];
    for group in (0..BLOCK).step_by(ROWS) {
        let rows: [&[u32]; ROWS] = std::array::from_fn(|i| &a[(group + i) * pairs..][..pairs]);
        let out = &mut c[group * c_stride..];
        let mut sums = [[_mm512_setzero_ps(); 2]; ROWS];
        for (i, sums) in sums.iter_mut().enumerate() {
            let own = out[i * c_stride..].first_chunk::<BLOCK>();
            if let Some(row) = start.or(own) {
                *sums = vectors(row).map(|bits| _mm512_castsi512_ps(bits));
            }
        }
        for (k, b) in b.iter().enumerate() {
            let b = vectors(b).map(|bits| operand(bits));
            for i in 0..ROWS {
                let a = operand(_mm512_set1_epi32(rows[i][k].cast_signed()));
                sums[i][0] = _mm512_dpbf16_ps(sums[i][0], a, b[0]);
                sums[i][1] = _mm512_dpbf16_ps(sums[i][1], a, b[1]);
            }
        }
        for (sums, out) in sums.iter().zip(out.chunks_mut(c_stride)) {
            if let Some(out) = out.first_chunk_mut::<BLOCK>() {
                store(out, sums.map(|sums| _mm512_castps_si512(sums)));
            }
        }
    }
}

/// Rows become columns; a plain loop where the processor has no AVX-512.
#[inline]
pub(super) fn transpose(square: &mut [[u32; SQUARE]; SQUARE]) {
    if std::arch::is_x86_feature_detected!("avx512f") {
        // SAFETY: the feature that the function is compiled for has just been found.
        #[allow(unsafe_code, reason = "a call of code for a feature that was detected")]
        unsafe {
            transpose_native(square);
        }
    } else {
        *square = std::array::from_fn(|i| std::array::from_fn(|j| square[j][i]));
    }
}

/// In two rounds within 128 bits, and two among the quarters of vectors.
#[target_feature(enable = "avx512f")]
fn transpose_native(square: &mut [[u32; SQUARE]; SQUARE]) {
    let (rows, _) = square.as_flattened().as_chunks::<BLOCK>();
    let rows: [[__m512i; 2]; SQUARE / 2] = std::array::from_fn(|i| vectors(&rows[i]));
    let ones = rows.map(|[a, b]| [_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b)]);
    let fours: [[__m512i; 4]; 4] = std::array::from_fn(|i| {
        let ([a, b], [c, d]) = (ones[2 * i], ones[2 * i + 1]);
        [
            _mm512_unpacklo_epi64(a, c),
            _mm512_unpackhi_epi64(a, c),
            _mm512_unpacklo_epi64(b, d),
            _mm512_unpackhi_epi64(b, d),
        ]
    });
    let mut columns = [_mm512_setzero_si512(); SQUARE];
    for i in 0..4 {
        let [a, b, c, d] = [fours[0][i], fours[1][i], fours[2][i], fours[3][i]];
        let even = [
            _mm512_shuffle_i32x4::<0x88>(a, b),
            _mm512_shuffle_i32x4::<0x88>(c, d),
        ];
        let odd = [
            _mm512_shuffle_i32x4::<0xdd>(a, b),
            _mm512_shuffle_i32x4::<0xdd>(c, d),
        ];
        columns[i] = _mm512_shuffle_i32x4::<0x88>(even[0], even[1]);
        columns[4 + i] = _mm512_shuffle_i32x4::<0x88>(odd[0], odd[1]);
        columns[8 + i] = _mm512_shuffle_i32x4::<0xdd>(even[0], even[1]);
        columns[12 + i] = _mm512_shuffle_i32x4::<0xdd>(odd[0], odd[1]);
    }
    let (out, _) = square.as_flattened_mut().as_chunks_mut::<BLOCK>();
    for (out, two) in out.iter_mut().zip(columns.as_chunks::<2>().0) {
        store(out, *two);
    }
}

/// The bits of 32 numbers.
#[inline]
#[target_feature(enable = "avx512f")]
fn vectors<T: bytemuck::Pod>(numbers: &[T; BLOCK]) -> [__m512i; 2] {
    const { assert!(size_of::<T>() == 4) }
    let from = numbers.as_ptr();
    // SAFETY: the array holds 32 numbers of 4 bytes, so the 16 at its start and the 16 after them are in bounds.
    #[allow(unsafe_code, reason = "there is no safe load of a vector")]
    unsafe {
        [
            _mm512_loadu_si512(from.cast()),
            _mm512_loadu_si512(from.add(16).cast()),
        ]
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store<T: bytemuck::Pod>(numbers: &mut [T; BLOCK], bits: [__m512i; 2]) {
    const { assert!(size_of::<T>() == 4) }
    let to = numbers.as_mut_ptr();
    // SAFETY: the array holds 32 numbers of 4 bytes, so the 16 at its start and the 16 after them are in bounds.
    #[allow(unsafe_code, reason = "there is no safe store of a vector")]
    unsafe {
        _mm512_storeu_si512(to.cast(), bits[0]);
        _mm512_storeu_si512(to.add(16).cast(), bits[1]);
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn operand(bits: __m512i) -> __m512bh {
    // SAFETY: both types are 512 plain bits; every pattern is a valid value of either.
    #[allow(unsafe_code, reason = "there is no safe conversion to bfloat16")]
    unsafe {
        std::mem::transmute(bits)
    }
}
