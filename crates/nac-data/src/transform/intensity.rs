//! Changes of each value by a table, with the meaning of PIL's `ImageOps`.

use super::Image;

/// Makes every channel use the whole range: its least value becomes 0, its greatest 255.
pub fn auto_contrast(image: &mut Image<'_>) {
    for plane in image.planes() {
        let low = plane.iter().copied().min().unwrap_or(0);
        let high = plane.iter().copied().max().unwrap_or(0);
        if high <= low {
            continue;
        }
        let scale = 255.0 / f64::from(high - low);
        let offset = -f64::from(low) * scale;
        apply(plane, |value| {
            (f64::from(value) * scale + offset).clamp(0.0, 255.0) as u8
        });
    }
}

/// Spreads the values of every channel so that their histogram becomes as even as a table can make it.
pub fn equalize(image: &mut Image<'_>) {
    for plane in image.planes() {
        let mut histogram = [0_usize; 256];
        for &value in plane.iter() {
            histogram[usize::from(value)] += 1;
        }
        let last = histogram.iter().rev().find(|&&count| count > 0);
        let step = (plane.len() - last.copied().unwrap_or(0)) / 255;
        if step == 0 {
            continue;
        }
        let mut below = step / 2;
        let table: Vec<u8> = histogram
            .iter()
            .map(|count| {
                let value = (below / step).min(255) as u8;
                below += count;
                value
            })
            .collect();
        plane
            .iter_mut()
            .for_each(|value| *value = table[usize::from(*value)]);
    }
}

/// `255 − x`.
pub fn invert(image: &mut Image<'_>) {
    image.pixels.iter_mut().for_each(|x| *x = !*x);
}

/// Inverts values of at least `threshold`, which may be 256 (none).
pub fn solarize(image: &mut Image<'_>, threshold: u16) {
    image.pixels.iter_mut().for_each(|x| {
        if u16::from(*x) >= threshold {
            *x = !*x;
        }
    });
}

/// Adds to values below 128, up to 255.
pub fn solarize_add(image: &mut Image<'_>, add: u8) {
    image.pixels.iter_mut().for_each(|x| {
        if *x < 128 {
            *x = x.saturating_add(add);
        }
    });
}

/// Keeps the `bits` most significant bits; 8 or more change nothing, 0 gives black.
pub fn posterize(image: &mut Image<'_>, bits: u32) {
    let mask = 0xff_u8.checked_shl(8_u32.saturating_sub(bits)).unwrap_or(0);
    image.pixels.iter_mut().for_each(|x| *x &= mask);
}

/// Replaces each value by a function of it, tabulated.
fn apply(plane: &mut [u8], function: impl Fn(u8) -> u8) {
    let table: Vec<u8> = (0..=255).map(function).collect();
    plane
        .iter_mut()
        .for_each(|value| *value = table[usize::from(*value)]);
}
