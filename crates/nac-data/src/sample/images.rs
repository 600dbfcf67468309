//! Drawings of three shapes.

use std::io::Cursor;
use std::path::Path;

use image::{ImageFormat, Rgb, RgbImage};

use super::folders::folders;
use crate::DataError;
use crate::random::Stream;

const CLASSES: [&str; 3] = ["circle", "square", "triangle"];

pub(super) fn write(folder: &Path) -> Result<usize, DataError> {
    folders(folder, &CLASSES, "png", |class, number| {
        let mut bytes = Cursor::new(Vec::new());
        let image = draw(class, number);
        image
            .write_to(&mut bytes, ImageFormat::Png)
            .map_err(std::io::Error::other)?;
        Ok(bytes.into_inner())
    })
}

/// A bright shape on a dark background with noise, 32 to 48 pixels high and wide.
fn draw(class: usize, number: u64) -> RgbImage {
    let mut stream = Stream::new(0, "sample images", &[class as u64, number]);
    let mut side = || 32 + stream.below(17) as u32;
    let (width, height) = (side(), side());
    let mut colour = |low: u64| [0; 3].map(|_: u8| (low + stream.below(80)) as u8);
    let (back, front) = (colour(0), colour(150));
    let smaller = f64::from(width.min(height));
    let radius = smaller * (0.25 + 0.15 * stream.uniform());
    let mut centre = |size: u32| radius + (f64::from(size) - 2.0 * radius) * stream.uniform();
    let (x0, y0) = (centre(width), centre(height));
    let inside = |x: f64, y: f64| match class {
        0 => x * x + y * y < radius * radius,
        1 => x.abs().max(y.abs()) < 0.85 * radius,
        _ => y < 0.8 * radius && x.abs() < (y + radius) * 0.55,
    };
    RgbImage::from_fn(width, height, |x, y| {
        let within = inside(f64::from(x) + 0.5 - x0, f64::from(y) + 0.5 - y0);
        let colour = if within { front } else { back };
        Rgb(colour.map(|value| value.saturating_add(stream.below(20) as u8)))
    })
}
