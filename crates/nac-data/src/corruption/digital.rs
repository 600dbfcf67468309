//! Brightness, contrast, and fewer pixels.

use super::bytes::{byte, into_bytes};
use crate::DataError;
use crate::transform::resized_crop::boxes;

/// Adds to the value in HSV; hue and saturation stay. Images without three channels get it on each value.
///
/// The value is the greatest of the three channels, and the others keep their ratio to it. Black has no ratio and becomes
/// grey.
pub(super) fn brightness(
    [channels, height, width]: [usize; 3],
    pixels: &[u8],
    add: f64,
) -> Vec<u8> {
    let plane = height * width;
    let unit = |x: u8| f64::from(x) / 255.0;
    if channels != 3 {
        return pixels.iter().map(|&x| byte(unit(x) + add)).collect();
    }
    let mut result = vec![0; pixels.len()];
    for at in 0..plane {
        let rgb = [0, 1, 2].map(|channel| unit(pixels[channel * plane + at]));
        let value = rgb.into_iter().fold(0.0, f64::max);
        let brighter = (value + add).min(1.0);
        for (channel, x) in rgb.into_iter().enumerate() {
            let ratio = if value > 0.0 { x / value } else { 1.0 };
            result[channel * plane + at] = byte(brighter * ratio);
        }
    }
    result
}

/// `(x − mean)·factor + mean` with the mean of each channel.
pub(super) fn contrast([_, height, width]: [usize; 3], pixels: &[u8], factor: f64) -> Vec<u8> {
    let plane = height * width;
    let mut result = Vec::with_capacity(pixels.len());
    for values in pixels.chunks_exact(plane) {
        let sum: u64 = values.iter().map(|&x| u64::from(x)).sum();
        let mean = sum as f64 / plane as f64 / 255.0;
        result.extend(
            values
                .iter()
                .map(|&x| byte((f64::from(x) / 255.0 - mean) * factor + mean)),
        );
    }
    result
}

/// Averages over boxes to a smaller size, and repeats each value back to the old size.
pub(super) fn pixelate(
    shape: [usize; 3],
    pixels: &[u8],
    factor: f64,
) -> Result<Vec<u8>, DataError> {
    let [channels, height, width] = shape;
    let smaller = |side: usize| ((side as f64 * factor) as usize).max(1);
    let (rows, columns) = (smaller(height), smaller(width));
    let small = into_bytes(boxes(shape, pixels, [rows, columns])?);
    Ok(into_bytes(boxes(
        [channels, rows, columns],
        &small,
        [height, width],
    )?))
}
