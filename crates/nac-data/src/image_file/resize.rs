//! A [`Picture`] to another size, with the filters that PIL's `Image.resize` has.
//!
//! Shrinking widens the filter by the ratio (antialiasing). Cutting to size happens on the grid of the whole resized
//! image, as `Resize` followed by `CenterCrop` does in torchvision, but only what is kept is computed.

use super::Picture;
use crate::resample::{Grid, Resampler, View};
use crate::{DataError, Resize, ResizeFilter};

/// Most pixels of a resized image.
const MAX_RESIZED: usize = 1 << 26;

/// The image with `size = [height, width]`. One of that size already comes back as it is.
///
/// # Errors
/// [`DataError::Config`] for a size without pixels or beyond 64 megapixels.
pub fn resize(
    picture: &Picture,
    size: [usize; 2],
    how: Resize,
    filter: ResizeFilter,
) -> Result<Picture, DataError> {
    let [height, width] = size;
    let pixels = width.saturating_mul(height);
    if !(1..=MAX_RESIZED).contains(&pixels) {
        return Err(wrong(size, "it must have 1 to 67108864 pixels"));
    }
    if [picture.height(), picture.width()] == size {
        return Ok(picture.clone());
    }
    match how {
        Resize::Squash => part(picture, Grid::all(size), filter),
        Resize::Crop => {
            let [rows, columns] = fitted(picture, size, f64::max);
            let whole = [rows.max(height), columns.max(width)];
            // Rounded half to even, as Python does.
            let start =
                [0, 1].map(|axis| ((whole[axis] - size[axis]) as f64 / 2.0).round_ties_even());
            let start = start.map(|place| place as usize);
            part(picture, Grid { whole, start, size }, filter)
        }
        Resize::Pad => {
            let [rows, columns] = fitted(picture, size, f64::min);
            let (rows, columns) = (rows.clamp(1, height), columns.clamp(1, width));
            let inner = part(picture, Grid::all([rows, columns]), filter)?;
            let (top, left) = ((height - rows) / 2, (width - columns) / 2);
            let mut padded = vec![0; pixels * 3];
            let targets = padded.chunks_exact_mut(width * 3).skip(top);
            for (target, row) in targets.zip(inner.pixels().chunks_exact(columns * 3)) {
                let places = target.iter_mut().skip(left * 3);
                places.zip(row).for_each(|(place, value)| *place = *value);
            }
            Picture::new(width, height, padded)
        }
    }
}

/// Height and width of the whole image, scaled so that the side which `choose` prefers fits exactly; the other is cut
/// to whole pixels.
fn fitted(
    picture: &Picture,
    [height, width]: [usize; 2],
    choose: fn(f64, f64) -> f64,
) -> [usize; 2] {
    let (from_width, from_height) = (picture.width() as u128, picture.height() as u128);
    let by_height = height as f64 / from_height as f64;
    let by_width = width as f64 / from_width as f64;
    let scaled = |to: usize, side: u128, other: u128| (to as u128 * side / other) as usize;
    if choose(by_height, by_width) == by_height {
        [height, scaled(height, from_width, from_height)]
    } else {
        [scaled(width, from_height, from_width), width]
    }
}

fn part(picture: &Picture, grid: Grid, filter: ResizeFilter) -> Result<Picture, DataError> {
    let source = [picture.height(), picture.width()];
    let resampler = Resampler::new(source, grid, filter.into());
    let pixels = View::new(picture.pixels(), 3, source).map(|view| resampler.run(view));
    let [height, width] = grid.size;
    Picture::new(width, height, pixels.unwrap_or_default())
}

fn wrong([height, width]: [usize; 2], reason: &str) -> DataError {
    DataError::Config {
        field: "image size".into(),
        reason: format!("{height} x {width} (height x width): {reason}"),
    }
}
