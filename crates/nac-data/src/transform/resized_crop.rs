//! A window of an image, resized with antialiasing as PIL does: cut first, so the filter ends at the window's border.

use crate::resample::{Filter, Grid, Resampler, View};
use crate::{Buffer, DataError, ResizeFilter, Values};

/// Part of an image, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// First row.
    pub top: usize,
    /// First column.
    pub left: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

/// Resizes the window of `u8 [channels, height, width]` to `size = [height, width]`.
///
/// # Shapes
/// - pixels: `[channels, height, width]`, as in `shape`
/// - result: `u8 [channels, size[0], size[1]]`
///
/// # Errors
/// [`DataError::Shape`] for a window that is empty or reaches beyond the image, pixels that are not of the shape, or a
/// size without pixels.
pub fn resized_crop(
    shape: [usize; 3],
    pixels: &[u8],
    window: Window,
    size: [usize; 2],
    filter: ResizeFilter,
) -> Result<Buffer, DataError> {
    resample(shape, pixels, window, size, filter.into())
}

/// Averages over boxes, as PIL's `BOX` filter: the pixelate corruption.
pub(crate) fn boxes(
    shape: [usize; 3],
    pixels: &[u8],
    size: [usize; 2],
) -> Result<Buffer, DataError> {
    let [_, height, width] = shape;
    let whole = Window {
        top: 0,
        left: 0,
        height,
        width,
    };
    resample(shape, pixels, whole, size, Filter::Box)
}

fn resample(
    shape: [usize; 3],
    pixels: &[u8],
    window: Window,
    size: [usize; 2],
    filter: Filter,
) -> Result<Buffer, DataError> {
    let wrong = || DataError::Shape {
        operation: "resized crop".into(),
        expected: format!("a window of pixels u8 {shape:?} and a size of at least one pixel"),
        found: format!("{window:?} of {} bytes to {size:?}", pixels.len()),
    };
    let [channels, height, width] = shape;
    let plane = height.checked_mul(width).unwrap_or(0);
    let total = size[0]
        .checked_mul(size[1])
        .and_then(|n| n.checked_mul(channels));
    let total = total.filter(|&total| total > 0).ok_or_else(wrong)?;
    if plane == 0 || plane.checked_mul(channels) != Some(pixels.len()) {
        return Err(wrong());
    }
    let (start, cut) = ([window.top, window.left], [window.height, window.width]);
    let views = pixels.chunks_exact(plane).map(|plane| {
        let view = View::new(plane, 1, [height, width])?;
        view.window(start, cut)
    });
    let views: Vec<View<'_>> = views.collect::<Option<_>>().ok_or_else(wrong)?;
    let resampler = Resampler::new(cut, Grid::all(size), filter);
    let mut values = Vec::with_capacity(total);
    views
        .into_iter()
        .for_each(|view| values.extend(resampler.run(view)));
    Buffer::new(vec![channels, size[0], size[1]], Values::U8(values))
}
