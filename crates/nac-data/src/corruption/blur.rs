//! Blurs.

use super::bytes::byte;

/// Blurs with a disk whose edge is blurred itself; the image is mirrored at its border.
pub(super) fn defocus(shape: [usize; 3], pixels: &[u8], radius: f64, alias: f64) -> Vec<u8> {
    let (kernel, reach) = disk(radius, alias);
    // Most of the square around a small disk is empty.
    let side = 2 * reach + 1;
    let weights: Vec<(isize, isize, f64)> = kernel
        .iter()
        .enumerate()
        .filter(|(_, weight)| **weight != 0.0)
        .map(|(at, &weight)| {
            let offset = |place: usize| place as isize - reach as isize;
            (offset(at / side), offset(at % side), weight)
        })
        .collect();
    filter(shape, pixels, &weights, mirrored, |sum| byte(sum / 255.0))
}

/// Blurs along a line that starts at the pixel and leads in the direction of `angle`, in degrees, with one half of a bell
/// curve; values at the border go on beyond it. This is ImageMagick's motion blur.
pub(super) fn motion(
    shape: [usize; 3],
    pixels: &[u8],
    radius: usize,
    sigma: f64,
    angle: f64,
) -> Vec<u8> {
    let bell = |at: usize| (-((at * at) as f64) / (2.0 * sigma * sigma)).exp();
    let length = 2 * radius + 1;
    let sum: f64 = (0..length).map(bell).sum();
    let (sin, cos) = angle.to_radians().sin_cos();
    let weights: Vec<(isize, isize, f64)> = (0..length)
        .map(|at| {
            let offset = |part: f64| (at as f64 * part - 0.5).ceil() as isize;
            (offset(sin), offset(cos), bell(at) / sum)
        })
        .collect();
    filter(shape, pixels, &weights, clamped, |sum| sum.round() as u8)
}

/// Weights of a disk, `[2·reach + 1, 2·reach + 1]`, and its reach.
fn disk(radius: f64, alias: f64) -> (Vec<f64>, usize) {
    let (reach, blur) = if radius <= 8.0 {
        (8, 1)
    } else {
        (radius as usize, 2)
    };
    let side = 2 * reach + 1;
    let distance = |place: usize| place as f64 - reach as f64;
    let inside = |row: usize, column: usize| {
        distance(row).powi(2) + distance(column).powi(2) <= radius * radius
    };
    let disk: Vec<f64> = (0..side * side)
        .map(|at| f64::from(u8::from(inside(at / side, at % side))))
        .collect();
    let sum: f64 = disk.iter().sum();
    let bell: Vec<f64> = (-blur..=blur)
        .map(|at: isize| (-((at * at) as f64) / (2.0 * alias * alias)).exp())
        .collect();
    let total: f64 = bell.iter().sum();
    let blurred = |at: usize| {
        let (row, column) = ((at / side) as isize, (at % side) as isize);
        let weighted =
            (-blur..=blur).flat_map(|down| (-blur..=blur).map(move |right| (down, right)));
        let values = weighted.map(|(down, right)| {
            let place = mirrored(row + down, side) * side + mirrored(column + right, side);
            let weight = |offset: isize| bell[(offset + blur) as usize] / total;
            disk[place] / sum * weight(down) * weight(right)
        });
        values.sum()
    };
    ((0..side * side).map(blurred).collect(), reach)
}

/// Weighted sums of pixels at offsets `(down, right)`, of every channel.
fn filter(
    [_, height, width]: [usize; 3],
    pixels: &[u8],
    weights: &[(isize, isize, f64)],
    place: fn(isize, usize) -> usize,
    finish: fn(f64) -> u8,
) -> Vec<u8> {
    let mut result = Vec::with_capacity(pixels.len());
    let mut sums = vec![0.0; width];
    for plane in pixels.chunks_exact(height * width) {
        for row in 0..height as isize {
            sums.fill(0.0);
            for &(down, right, weight) in weights {
                let source = &plane[place(row + down, height) * width..][..width];
                for (column, sum) in sums.iter_mut().enumerate() {
                    *sum += weight * f64::from(source[place(column as isize + right, width)]);
                }
            }
            result.extend(sums.iter().map(|&sum| finish(sum)));
        }
    }
    result
}

/// The place within `0..size` of a coordinate, mirrored at the first and last pixel as often as it takes.
fn mirrored(at: isize, size: usize) -> usize {
    if size < 2 {
        return 0;
    }
    let period = 2 * (size as isize - 1);
    let at = at.rem_euclid(period);
    at.min(period - at) as usize
}

fn clamped(at: isize, size: usize) -> usize {
    at.clamp(0, size as isize - 1) as usize
}
