//! What a JPEG file of some quality loses, without writing one: colours in YCbCr with half the resolution of chroma, 8×8
//! cosine transforms, quantization by the tables of the standard's Annex K as libjpeg scales them, and back. Coding of the
//! numbers themselves loses nothing and is left out.

use std::f32::consts::PI;

const BLOCK: usize = 8;

/// Quantization of luma at quality 50 (ITU-T T.81, table K.1), row by row.
const LUMA: [u16; 64] = [
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56,
    14, 17, 22, 29, 51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113,
    92, 49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
];
/// Quantization of chroma at quality 50 (table K.2).
const CHROMA: [u16; 64] = [
    17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99, 24, 26, 56, 99, 99, 99, 99, 99,
    47, 66, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
    99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
];

/// One channel with its size.
struct Plane {
    height: usize,
    width: usize,
    values: Vec<u8>,
}

/// An image after compression with a quality of 1 to 100. Images without three channels are compressed channel by channel
/// as grey ones.
pub(super) fn compress(
    [channels, height, width]: [usize; 3],
    pixels: &[u8],
    quality: u8,
) -> Vec<u8> {
    let planes = pixels.chunks_exact(height * width);
    let luma = table(&LUMA, quality);
    if channels != 3 {
        let grey = planes.flat_map(|plane| {
            let plane = Plane {
                height,
                width,
                values: plane.to_vec(),
            };
            quantized(&plane, &luma).values
        });
        return grey.collect();
    }
    let plane = height * width;
    let mut ycc = vec![vec![0_u8; plane]; 3];
    for at in 0..plane {
        let [r, g, b] = [0, 1, 2].map(|channel| f32::from(pixels[channel * plane + at]));
        let y = 0.299 * r + 0.587 * g + 0.114 * b;
        let cb = -0.168_735_9 * r - 0.331_264_1 * g + 0.5 * b + 128.0;
        let cr = 0.5 * r - 0.418_687_6 * g - 0.081_312_4 * b + 128.0;
        for (channel, value) in ycc.iter_mut().zip([y, cb, cr]) {
            channel[at] = value.round().clamp(0.0, 255.0) as u8;
        }
    }
    let chroma = table(&CHROMA, quality);
    let mut channels = ycc.into_iter().map(|values| Plane {
        height,
        width,
        values,
    });
    let y = channels.next().map(|plane| quantized(&plane, &luma).values);
    let mut colours =
        channels.map(|plane| doubled(&quantized(&halved(&plane), &chroma), height, width));
    let (y, cb, cr) = (y.unwrap_or_default(), colours.next(), colours.next());
    let (cb, cr) = (cb.unwrap_or_default(), cr.unwrap_or_default());
    let mut result = vec![0; pixels.len()];
    for (at, ((&y, &cb), &cr)) in y.iter().zip(&cb).zip(&cr).enumerate() {
        let (y, cb, cr) = (f32::from(y), f32::from(cb) - 128.0, f32::from(cr) - 128.0);
        let rgb = [
            y + 1.402 * cr,
            y - 0.344_136_3 * cb - 0.714_136_3 * cr,
            y + 1.772 * cb,
        ];
        for (channel, value) in rgb.into_iter().enumerate() {
            result[channel * plane + at] = value.round().clamp(0.0, 255.0) as u8;
        }
    }
    result
}

/// A table of the standard for a quality, as libjpeg scales it.
fn table(base: &[u16; 64], quality: u8) -> [f32; 64] {
    let quality = u32::from(quality.clamp(1, 100));
    let scale = if quality < 50 {
        5000 / quality
    } else {
        200 - 2 * quality
    };
    base.map(|value| ((u32::from(value) * scale + 50) / 100).clamp(1, 255) as f32)
}

/// Every 8×8 block transformed, rounded to multiples of the table, and transformed back.
fn quantized(plane: &Plane, table: &[f32; 64]) -> Plane {
    let basis = basis();
    let mut values = vec![0; plane.values.len()];
    for top in (0..plane.height).step_by(BLOCK) {
        for left in (0..plane.width).step_by(BLOCK) {
            let mut block = [0.0; 64];
            for (at, value) in block.iter_mut().enumerate() {
                // Blocks at the border go on with the last row and column.
                let row = (top + at / BLOCK).min(plane.height - 1);
                let column = (left + at % BLOCK).min(plane.width - 1);
                *value = f32::from(plane.values[row * plane.width + column]) - 128.0;
            }
            let mut block = transform(&block, &basis, false);
            for (value, step) in block.iter_mut().zip(table) {
                *value = (*value / step).round() * step;
            }
            for (at, value) in transform(&block, &basis, true).into_iter().enumerate() {
                let (row, column) = (top + at / BLOCK, left + at % BLOCK);
                if row < plane.height && column < plane.width {
                    let value = (value + 128.0).round().clamp(0.0, 255.0);
                    values[row * plane.width + column] = value as u8;
                }
            }
        }
    }
    Plane { values, ..*plane }
}

/// The orthonormal cosine transform of 8 values, `[frequency, place]`.
fn basis() -> [[f32; BLOCK]; BLOCK] {
    let mut basis = [[0.0; BLOCK]; BLOCK];
    for (frequency, row) in basis.iter_mut().enumerate() {
        let scale = if frequency == 0 { 0.125_f32 } else { 0.25 }.sqrt();
        for (place, value) in row.iter_mut().enumerate() {
            *value = scale * ((2 * place + 1) as f32 * frequency as f32 * PI / 16.0).cos();
        }
    }
    basis
}

/// The transform of a block along both axes, or its inverse.
fn transform(block: &[f32; 64], basis: &[[f32; BLOCK]; BLOCK], inverse: bool) -> [f32; 64] {
    let weight = |to: usize, from: usize| {
        if inverse {
            basis[from][to]
        } else {
            basis[to][from]
        }
    };
    let mut rows = [0.0; 64];
    for (at, value) in rows.iter_mut().enumerate() {
        let (row, to) = (at / BLOCK, at % BLOCK);
        *value = (0..BLOCK)
            .map(|from| weight(to, from) * block[row * BLOCK + from])
            .sum();
    }
    let mut both = [0.0; 64];
    for (at, value) in both.iter_mut().enumerate() {
        let (to, column) = (at / BLOCK, at % BLOCK);
        *value = (0..BLOCK)
            .map(|from| weight(to, from) * rows[from * BLOCK + column])
            .sum();
    }
    both
}

/// Means of 2×2 values, halves rounded up and down in turns along a row, as libjpeg does against drift.
fn halved(plane: &Plane) -> Plane {
    let (height, width) = (plane.height.div_ceil(2), plane.width.div_ceil(2));
    let at = |row: usize, column: usize| {
        let (row, column) = (row.min(plane.height - 1), column.min(plane.width - 1));
        u32::from(plane.values[row * plane.width + column])
    };
    let mean = |place: usize| {
        let (row, column) = (2 * (place / width), 2 * (place % width));
        let sum =
            at(row, column) + at(row, column + 1) + at(row + 1, column) + at(row + 1, column + 1);
        ((sum + 1 + (column as u32 / 2) % 2) / 4) as u8
    };
    Plane {
        height,
        width,
        values: (0..height * width).map(mean).collect(),
    }
}

/// Twice the size, each value 3/4 of the nearest and 1/4 of the next along both axes (libjpeg's "fancy" upsampling).
fn doubled(plane: &Plane, height: usize, width: usize) -> Vec<u8> {
    let near = |at: usize, size: usize| {
        let this = (at / 2).min(size - 1);
        let next = if at.is_multiple_of(2) {
            this.saturating_sub(1)
        } else {
            (this + 1).min(size - 1)
        };
        (this, next)
    };
    let mut result = Vec::with_capacity(height * width);
    for row in 0..height {
        let (this, next) = near(row, plane.height);
        let column_sum = |column: usize| {
            let value = |row: usize| u32::from(plane.values[row * plane.width + column]);
            3 * value(this) + value(next)
        };
        for column in 0..width {
            let (this, next) = near(column, plane.width);
            let bias = if column.is_multiple_of(2) { 8 } else { 7 };
            result.push(((3 * column_sum(this) + column_sum(next) + bias) / 16) as u8);
        }
    }
    result
}
