//! Products of 8 rows of a matrix with a block of items: what all matrix products are made of.
//!
//! On AVX-512 the 8 × 32 results stay in 16 registers; narrower processors take them in parts.

use pulp::Simd;

use super::row::{GROUP, Row, WIDTH};

/// How many elements ahead weights are prefetched.
const AHEAD: usize = 64;

/// `out[i] = (out[i] if accumulate) + Σ_k a[k][first + i] · b[k]` for 8 rows `i`.
///
/// `a` holds numbers that belong to one `k` side by side: 8 packed weights, or the
/// items of a block.
#[inline(always)]
pub(crate) fn tile<S: Simd, A: AsRef<[f32]>>(
    simd: S,
    a: &[A],
    first: usize,
    b: &[Row],
    out: &mut [Row; GROUP],
    accumulate: bool,
) {
    match S::F32_LANES {
        16 => part::<S, 8, 2, A>(simd, a, first, b, out, (0, 0), accumulate),
        8 => {
            for corner in [(0, 0), (0, 2), (4, 0), (4, 2)] {
                part::<S, 4, 2, A>(simd, a, first, b, out, corner, accumulate);
            }
        }
        4 => {
            for corner in [(0, 0), (0, 4), (4, 0), (4, 4)] {
                part::<S, 4, 4, A>(simd, a, first, b, out, corner, accumulate);
            }
        }
        _ => {
            for row in 0..GROUP {
                let lanes = S::F32_LANES;
                for vector in 0..WIDTH / lanes {
                    part::<S, 1, 1, A>(simd, a, first, b, out, (row, vector), accumulate);
                }
            }
        }
    }
}

/// The rows from `corner.0` and the vectors from `corner.1` of a [`tile`].
#[inline(always)]
fn part<S: Simd, const ROWS: usize, const VECTORS: usize, A: AsRef<[f32]>>(
    simd: S,
    a: &[A],
    first: usize,
    b: &[Row],
    out: &mut [Row; GROUP],
    corner: (usize, usize),
    accumulate: bool,
) {
    let mut sums = load::<S, ROWS, VECTORS>(simd, out, corner, accumulate);
    for (a, b) in a.iter().zip(b) {
        prefetch(a);
        let b = S::as_simd_f32s(&b.0).0;
        let a = &a.as_ref()[first + corner.0..first + corner.0 + ROWS];
        for i in 0..ROWS {
            let a = simd.splat_f32s(a[i]);
            for j in 0..VECTORS {
                sums[i][j] = simd.mul_add_f32s(a, b[corner.1 + j], sums[i][j]);
            }
        }
    }
    store::<S, ROWS, VECTORS>(&sums, out, corner);
}

/// Prefetches what comes [`AHEAD`] elements after `a`: the processor's own prefetching stops at the end of a page.
#[inline(always)]
fn prefetch<A>(a: *const A) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch reads nothing and never faults, whatever the address.
    #[allow(unsafe_code, reason = "a hint to the processor")]
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(a.wrapping_add(AHEAD).cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = a;
}

/// `out[i] += Σ_k a[i][k] · b[k]` for 8 rows `i`, over the blocks that `a` and `b` give one after the other.
///
/// `a` gives the 8 rows of a block of items, of which the first `b.len()` count.
#[inline(always)]
pub(crate) fn tile_across<'a, S: Simd>(
    simd: S,
    blocks: impl Iterator<Item = (&'a [Row; GROUP], &'a [Row])> + Clone,
    out: &mut [Row; GROUP],
) {
    match S::F32_LANES {
        16 => part_across::<S, 8, 2>(simd, blocks, out, (0, 0)),
        8 => {
            for corner in [(0, 0), (0, 2), (4, 0), (4, 2)] {
                part_across::<S, 4, 2>(simd, blocks.clone(), out, corner);
            }
        }
        4 => {
            for corner in [(0, 0), (0, 4), (4, 0), (4, 4)] {
                part_across::<S, 4, 4>(simd, blocks.clone(), out, corner);
            }
        }
        _ => {
            for row in 0..GROUP {
                for vector in 0..WIDTH / S::F32_LANES {
                    part_across::<S, 1, 1>(simd, blocks.clone(), out, (row, vector));
                }
            }
        }
    }
}

#[inline(always)]
fn part_across<'a, S: Simd, const ROWS: usize, const VECTORS: usize>(
    simd: S,
    blocks: impl Iterator<Item = (&'a [Row; GROUP], &'a [Row])>,
    out: &mut [Row; GROUP],
    corner: (usize, usize),
) {
    let mut sums = load::<S, ROWS, VECTORS>(simd, out, corner, true);
    for (a, b) in blocks {
        for (k, b) in b.iter().take(WIDTH).enumerate() {
            let b = S::as_simd_f32s(&b.0).0;
            for i in 0..ROWS {
                let a = simd.splat_f32s(a[corner.0 + i].0[k]);
                for j in 0..VECTORS {
                    sums[i][j] = simd.mul_add_f32s(a, b[corner.1 + j], sums[i][j]);
                }
            }
        }
    }
    store::<S, ROWS, VECTORS>(&sums, out, corner);
}

#[inline(always)]
fn load<S: Simd, const ROWS: usize, const VECTORS: usize>(
    simd: S,
    out: &[Row; GROUP],
    corner: (usize, usize),
    accumulate: bool,
) -> [[S::f32s; VECTORS]; ROWS] {
    let mut sums = [[simd.splat_f32s(0.0); VECTORS]; ROWS];
    if accumulate {
        for i in 0..ROWS {
            let row = S::as_simd_f32s(&out[corner.0 + i].0).0;
            for j in 0..VECTORS {
                sums[i][j] = row[corner.1 + j];
            }
        }
    }
    sums
}

#[inline(always)]
fn store<S: Simd, const ROWS: usize, const VECTORS: usize>(
    sums: &[[S::f32s; VECTORS]; ROWS],
    out: &mut [Row; GROUP],
    corner: (usize, usize),
) {
    for i in 0..ROWS {
        let row = S::as_mut_simd_f32s(&mut out[corner.0 + i].0).0;
        for j in 0..VECTORS {
            row[corner.1 + j] = sums[i][j];
        }
    }
}
