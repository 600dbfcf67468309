//! Depth-wise 7×7 convolution of one channel.

use pulp::{Simd, WithSimd};

/// Side of the kernel.
pub(crate) const SIDE: usize = 7;
/// Cells on each side that the kernel reaches beyond a cell.
pub(crate) const REACH: usize = SIDE / 2;
/// Columns are computed in groups of this many.
const STEP: usize = 16;

/// Columns of a padded row for a map of `width` columns.
pub(crate) fn padded_width(width: usize) -> usize {
    width.div_ceil(STEP) * STEP + 2 * REACH
}

/// Numbers that a padded channel takes.
pub(crate) fn padded_size(height: usize, width: usize) -> usize {
    (height + 2 * REACH) * padded_width(width)
}

/// `y = k * x + bias` with zeros around the map.
pub(crate) struct Depthwise<'a> {
    /// `[height + 6, padded_width]`, the map with zeros around it.
    pub(crate) x: &'a [f32],
    /// `[7, 7]`.
    pub(crate) kernel: &'a [f32],
    pub(crate) bias: f32,
    /// `[height, width]`.
    pub(crate) y: &'a mut [f32],
    pub(crate) width: usize,
}

impl WithSimd for Depthwise<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match S::F32_LANES {
            16 => convolve::<S, 1>(simd, self),
            8 => convolve::<S, 2>(simd, self),
            4 => convolve::<S, 4>(simd, self),
            _ => convolve::<S, STEP>(simd, self),
        }
    }
}

#[inline(always)]
fn convolve<S: Simd, const VECTORS: usize>(simd: S, op: Depthwise<'_>) {
    let stride = padded_width(op.width);
    for (row, y) in op.y.chunks_exact_mut(op.width).enumerate() {
        for (step, y) in y.chunks_mut(STEP).enumerate() {
            let mut sums = [simd.splat_f32s(op.bias); VECTORS];
            for (down, weights) in op.kernel.chunks_exact(SIDE).enumerate() {
                let cells = &op.x[(row + down) * stride + step * STEP..][..STEP + SIDE - 1];
                for (right, weight) in weights.iter().enumerate() {
                    let weight = simd.splat_f32s(*weight);
                    let x = S::as_simd_f32s(&cells[right..right + STEP]).0;
                    for (sum, x) in sums.iter_mut().zip(x) {
                        *sum = simd.mul_add_f32s(weight, *x, *sum);
                    }
                }
            }
            let mut all = [0.0_f32; STEP];
            for (part, sum) in S::as_mut_simd_f32s(&mut all).0.iter_mut().zip(sums) {
                *part = sum;
            }
            y.copy_from_slice(&all[..y.len()]);
        }
    }
}
