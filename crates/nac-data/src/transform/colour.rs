//! Brightness, contrast, saturation, hue and sharpness, with the meaning of PIL's `ImageEnhance` and of torchvision's
//! `adjust_hue` on 8-bit images.
//!
//! All but hue blend the image with a plainer one: `plain + factor·(image − plain)`, cut to bytes. Factor 0 gives the
//! plain image, 1 the image itself, more goes beyond.

use super::Image;

/// Blends with black.
pub fn brightness(image: &mut Image<'_>, factor: f32) {
    blend_with(image.pixels, 0, factor);
}

/// Blends with the mean luma.
pub fn contrast(image: &mut Image<'_>, factor: f32) {
    let plane = image.height * image.width;
    let sum: u64 = match image.rgb() {
        Some([r, g, b]) => {
            let pixels = r.iter().zip(g.iter()).zip(b.iter());
            pixels.map(|((&r, &g), &b)| u64::from(luma(r, g, b))).sum()
        }
        None => image.pixels.iter().take(plane).map(|&x| u64::from(x)).sum(),
    };
    let mean = (sum as f64 / plane as f64 + 0.5) as u8;
    blend_with(image.pixels, mean, factor);
}

/// Blends with the luma of each pixel. Images without three channels stay as they are.
pub fn saturation(image: &mut Image<'_>, factor: f32) {
    let Some([r, g, b]) = image.rgb() else {
        return;
    };
    if factor == 1.0 {
        return;
    }
    let inside = (0.0..=1.0).contains(&factor);
    for ((r, g), b) in r.iter_mut().zip(g).zip(b) {
        let grey = luma(*r, *g, *b);
        for value in [r, g, b] {
            *value = if inside {
                interpolate(grey, *value, factor)
            } else {
                extrapolate(grey, *value, factor)
            };
        }
    }
}

/// Turns the hue by `turns` of the colour circle, −0.5 to 0.5. Images without three channels stay as they are.
///
/// Hue, saturation and value are rounded to bytes in between, as PIL does.
pub fn hue(image: &mut Image<'_>, turns: f32) {
    // The bytes wrap around, as those of the colour circle do.
    let shift = (turns.clamp(-0.5, 0.5) * 255.0) as i32 as u8;
    let Some([r, g, b]) = image.rgb() else {
        return;
    };
    for ((r, g), b) in r.iter_mut().zip(g).zip(b) {
        let [h, s, v] = to_hsv(*r, *g, *b);
        [*r, *g, *b] = to_rgb(h.wrapping_add(shift), s, v);
    }
}

/// Blends with a smoothed image: the mean of 3×3 pixels with weight 5 for the centre; the border stays.
pub fn sharpness(image: &mut Image<'_>, factor: f32) {
    let (height, width) = (image.height, image.width);
    if factor == 1.0 || height < 3 || width < 3 {
        return;
    }
    for plane in image.planes() {
        let old = plane.to_vec();
        for row in 1..height - 1 {
            let rows = [row - 1, row, row + 1].map(|r| &old[r * width..][..width]);
            let target = &mut plane[row * width + 1..][..width - 2];
            for (column, value) in target.iter_mut().enumerate() {
                let sum: u32 = rows
                    .iter()
                    .flat_map(|row| &row[column..column + 3])
                    .map(|&x| u32::from(x))
                    .sum();
                let centre = rows[1][column + 1];
                let smooth = (2 * (sum + 4 * u32::from(centre)) + 13) / 26;
                *value = blend(smooth as u8, centre, factor);
            }
        }
    }
}

/// ITU-R 601 luma in 1/65536, rounded: PIL's conversion to `L`.
pub(crate) fn luma(r: u8, g: u8, b: u8) -> u8 {
    let sum = 19_595 * u32::from(r) + 38_470 * u32::from(g) + 7_471 * u32::from(b);
    ((sum + 0x8000) >> 16) as u8
}

fn blend_with(pixels: &mut [u8], plain: u8, factor: f32) {
    let mut table = [0_u8; 256];
    for (value, place) in (0..=255).zip(&mut table) {
        *place = blend(plain, value, factor);
    }
    pixels.iter_mut().for_each(|x| *x = table[usize::from(*x)]);
}

fn blend(plain: u8, value: u8, factor: f32) -> u8 {
    if (0.0..=1.0).contains(&factor) {
        interpolate(plain, value, factor)
    } else {
        extrapolate(plain, value, factor)
    }
}

fn interpolate(plain: u8, value: u8, factor: f32) -> u8 {
    let (plain, value) = (f32::from(plain), f32::from(value));
    (plain + factor * (value - plain)) as u8
}

fn extrapolate(plain: u8, value: u8, factor: f32) -> u8 {
    let (plain, value) = (f32::from(plain), f32::from(value));
    (plain + factor * (value - plain)).clamp(0.0, 255.0) as u8
}

fn to_hsv(r: u8, g: u8, b: u8) -> [u8; 3] {
    let (most, least) = (r.max(g).max(b), r.min(g).min(b));
    if most == least {
        return [0, 0, most];
    }
    let range = f32::from(most - least);
    let [from_r, from_g, from_b] = [r, g, b].map(|x| f32::from(most - x) / range);
    let sixths = if r == most {
        from_b - from_g
    } else if g == most {
        2.0 + from_r - from_b
    } else {
        4.0 + from_g - from_r
    };
    let hue = ((f64::from(sixths) / 6.0 + 1.0) % 1.0) as f32;
    let saturation = range / f32::from(most);
    [(hue * 255.0) as u8, (saturation * 255.0) as u8, most]
}

fn to_rgb(h: u8, s: u8, v: u8) -> [u8; 3] {
    if s == 0 {
        return [v; 3];
    }
    let sixths = f64::from(h) * 6.0 / 255.0;
    let sector = sixths.floor();
    let (part, s, value) = (sixths - sector, f64::from(s) / 255.0, f64::from(v));
    // Not negative, so adding a half and cutting rounds.
    let round = |x: f64| (x + 0.5) as u8;
    let p = round(value * (1.0 - s));
    let q = round(value * (1.0 - s * part));
    let t = round(value * (1.0 - s * (1.0 - part)));
    match sector as u8 % 6 {
        0 => [v, t, p],
        1 => [q, v, p],
        2 => [p, v, t],
        3 => [p, q, v],
        4 => [t, p, v],
        _ => [v, p, q],
    }
}
