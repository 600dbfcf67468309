//! Affine changes of an image with the meaning of PIL's `Image.transform`: the pixel at `(x, y)` of the result is that at
//! `(a·x + b·y + c, d·x + e·y + f)` of the source, both measured from the corner of the image to the centre of a pixel.

use super::Image;

/// Value of pixels that come from outside, timm's default.
pub const FILL: u8 = 128;

/// How values between pixels are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interpolation {
    /// From 2×2 pixels.
    Bilinear,
    /// From 4×4 pixels, by cubic convolution with slope −1, as PIL has it here (its resize has −0.5).
    Bicubic,
}

/// Applies a matrix `[a, b, c, d, e, f]`.
pub fn affine(image: &mut Image<'_>, matrix: [f64; 6], interpolation: Interpolation) {
    let (height, width) = (image.height, image.width);
    let [a, b, c, d, e, f] = matrix;
    let old = image.pixels.to_vec();
    let inside = |place: f64, size: usize| place >= 0.0 && place < size as f64;
    for row in 0..height {
        for column in 0..width {
            let (x, y) = (column as f64 + 0.5, row as f64 + 0.5);
            let (from_x, from_y) = (a * x + b * y + c, d * x + e * y + f);
            let at = row * width + column;
            let known = inside(from_x, width) && inside(from_y, height);
            let (x, y) = (Place::new(from_x, width), Place::new(from_y, height));
            let targets = image.pixels.iter_mut().skip(at).step_by(height * width);
            for (value, plane) in targets.zip(old.chunks_exact(height * width)) {
                *value = match interpolation {
                    _ if !known => FILL,
                    Interpolation::Bilinear => bilinear(plane, width, &x, &y),
                    Interpolation::Bicubic => bicubic(plane, width, &x, &y),
                };
            }
        }
    }
}

/// Moves rows sideways by `factor` pixels for each pixel down.
pub fn shear_x(image: &mut Image<'_>, factor: f64, interpolation: Interpolation) {
    affine(image, [1.0, factor, 0.0, 0.0, 1.0, 0.0], interpolation);
}

/// Moves columns up or down by `factor` pixels for each pixel to the right.
pub fn shear_y(image: &mut Image<'_>, factor: f64, interpolation: Interpolation) {
    affine(image, [1.0, 0.0, 0.0, factor, 1.0, 0.0], interpolation);
}

/// Moves the image to the left by a share of its width.
pub fn translate_x(image: &mut Image<'_>, share: f64, interpolation: Interpolation) {
    let pixels = share * image.width as f64;
    affine(image, [1.0, 0.0, pixels, 0.0, 1.0, 0.0], interpolation);
}

/// Moves the image up by a share of its height.
pub fn translate_y(image: &mut Image<'_>, share: f64, interpolation: Interpolation) {
    let pixels = share * image.height as f64;
    affine(image, [1.0, 0.0, 0.0, 0.0, 1.0, pixels], interpolation);
}

/// Rotates counter-clockwise about the centre.
pub fn rotate(image: &mut Image<'_>, degrees: f64, interpolation: Interpolation) {
    if degrees % 360.0 == 0.0 {
        return;
    }
    // PIL rounds to 15 decimals.
    let rounded = |x: f64| (x * 1e15).round() / 1e15;
    let (sin, cos) = (-degrees.to_radians()).sin_cos();
    let (sin, cos) = (rounded(sin), rounded(cos));
    let (x, y) = (image.width as f64 / 2.0, image.height as f64 / 2.0);
    let (c, f) = (-cos * x - sin * y + x, sin * x - cos * y + y);
    affine(image, [cos, sin, c, -sin, cos, f], interpolation);
}

/// A coordinate between pixel centres.
struct Place {
    /// The pixels before, at, after and two after it, cut to the image.
    pixels: [usize; 4],
    /// Whether these lie within the image.
    inside: [bool; 4],
    part: f64,
}

impl Place {
    fn new(from: f64, size: usize) -> Self {
        let from = from - 0.5;
        let first = from.floor();
        let last = size as f64 - 1.0;
        let at = [-1.0, 0.0, 1.0, 2.0].map(|offset| first + offset);
        Self {
            pixels: at.map(|x| x.clamp(0.0, last) as usize),
            inside: at.map(|x| (0.0..=last).contains(&x)),
            part: from - first,
        }
    }
}

fn bilinear(plane: &[u8], width: usize, x: &Place, y: &Place) -> u8 {
    let row = |row: usize| {
        let at = |column: usize| f64::from(plane[row * width + column]);
        let (left, right) = (at(x.pixels[1]), at(x.pixels[2]));
        left + (right - left) * x.part
    };
    let (upper, lower) = (row(y.pixels[1]), row(y.pixels[2]));
    (upper + (lower - upper) * y.part) as u8
}

fn bicubic(plane: &[u8], width: usize, x: &Place, y: &Place) -> u8 {
    let row = |row: usize| {
        let values = x
            .pixels
            .map(|column| f64::from(plane[row * width + column]));
        cubic(values, x.part)
    };
    let first = row(y.pixels[0]);
    let mut values = [first; 4];
    for index in 1..4 {
        // Rows beyond the end repeat the value before them.
        values[index] = if y.inside[index] {
            row(y.pixels[index])
        } else {
            values[index - 1]
        };
    }
    cubic(values, y.part).clamp(0.0, 255.0) as u8
}

/// Cubic convolution with slope −1 between the second and third of four values.
fn cubic([v1, v2, v3, v4]: [f64; 4], d: f64) -> f64 {
    let (p2, p3, p4) = (v3 - v1, 2.0 * (v1 - v2) + v3 - v4, v2 - v1 - v3 + v4);
    v2 + d * (p2 + d * (p3 + d * p4))
}
