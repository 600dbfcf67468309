//! Resampling along one axis. The inner loops run over many values with one weight, which compilers make vectors of.

use super::kernel::{Kernel, PRECISION};
use super::view::View;

/// Values that are summed side by side.
const LANES: usize = 32;

/// Resamples along rows. The kernel's source pixel `offset` is the first column of the view.
#[inline(always)]
pub(super) fn rows(kernel: &Kernel, offset: usize, view: View<'_>) -> Vec<u8> {
    match view.channels() {
        1 => blocks::<1>(kernel, offset, view),
        3 => blocks::<3>(kernel, offset, view),
        channels => {
            // Planes one at a time would do, but nothing has other channels side by side.
            debug_assert!(false, "{channels} channels");
            Vec::new()
        }
    }
}

/// Takes as many rows at once as fit the lanes, turned so that a column's values are side by side.
#[inline(always)]
fn blocks<const CHANNELS: usize>(kernel: &Kernel, offset: usize, view: View<'_>) -> Vec<u8> {
    let [height, width] = view.size();
    let stride = kernel.len() * CHANNELS;
    let mut out = vec![0; height * stride];
    if stride == 0 {
        return out;
    }
    let count = LANES / CHANNELS;
    let mut turned = vec![[0_u8; LANES]; width];
    for (block, target) in out.chunks_mut(count * stride).enumerate() {
        let height = target.len() / stride;
        for row in 0..height {
            let pixels = view.row(block * count + row).chunks_exact(CHANNELS);
            for (column, pixel) in turned.iter_mut().zip(pixels) {
                column[row * CHANNELS..(row + 1) * CHANNELS].copy_from_slice(pixel);
            }
        }
        for (x, (first, weights)) in kernel.runs().enumerate() {
            let mut sums = [1_i32 << (PRECISION - 1); LANES];
            let columns = turned.get(first - offset..).unwrap_or_default();
            for (values, &weight) in columns.iter().zip(weights) {
                add(&mut sums, values, weight);
            }
            let values = bytes(&sums);
            for (pixel, row) in values
                .chunks_exact(CHANNELS)
                .zip(target.chunks_exact_mut(stride))
            {
                row[x * CHANNELS..(x + 1) * CHANNELS].copy_from_slice(pixel);
            }
        }
    }
    out
}

/// Resamples along columns. The kernel's source pixel `offset` is the first row of the view.
#[inline(always)]
pub(super) fn columns(kernel: &Kernel, offset: usize, view: View<'_>) -> Vec<u8> {
    let [_, width] = view.size();
    let width = width * view.channels();
    let mut out = vec![0; kernel.len() * width];
    for ((first, weights), target) in kernel.runs().zip(out.chunks_exact_mut(width)) {
        let first = first - offset;
        for at in (0..width).step_by(LANES) {
            // The last lanes of a row go over some values again.
            let at = at.min(width.saturating_sub(LANES));
            let mut sums = [1_i32 << (PRECISION - 1); LANES];
            for (tap, &weight) in weights.iter().enumerate() {
                let values = view.row(first + tap).get(at..).unwrap_or_default();
                match values.first_chunk() {
                    Some(values) => add(&mut sums, values, weight),
                    None => sums
                        .iter_mut()
                        .zip(values)
                        .for_each(|(sum, &value)| *sum += i32::from(value) * weight),
                }
            }
            let values = bytes(&sums);
            let target = target.get_mut(at..).unwrap_or_default();
            match target.first_chunk_mut() {
                Some(target) => *target = values,
                None => target.iter_mut().zip(values).for_each(|(t, v)| *t = v),
            }
        }
    }
    out
}

#[inline(always)]
fn add(sums: &mut [i32; LANES], values: &[u8; LANES], weight: i32) {
    for (sum, &value) in sums.iter_mut().zip(values) {
        *sum += i32::from(value) * weight;
    }
}

#[inline(always)]
fn bytes(sums: &[i32; LANES]) -> [u8; LANES] {
    let mut values = [0; LANES];
    for (value, &sum) in values.iter_mut().zip(sums) {
        *value = (sum >> PRECISION).clamp(0, 255) as u8;
    }
    values
}
