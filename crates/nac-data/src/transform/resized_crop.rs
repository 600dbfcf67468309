//! A window of an image, resized with antialiasing as PIL does: cut first, so the filter ends at the window's border.

use fast_image_resize::images::{Image as Target, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};

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
    let kernel = match filter {
        ResizeFilter::Bilinear => FilterType::Bilinear,
        ResizeFilter::Bicubic => FilterType::CatmullRom,
    };
    resample(shape, pixels, window, size, kernel)
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
    resample(shape, pixels, whole, size, FilterType::Box)
}

fn resample(
    shape: [usize; 3],
    pixels: &[u8],
    window: Window,
    size: [usize; 2],
    kernel: FilterType,
) -> Result<Buffer, DataError> {
    let wrong = |found: String| DataError::Shape {
        operation: "resized crop".into(),
        expected: format!("a window of pixels u8 {shape:?} and a size of at least one pixel"),
        found,
    };
    let [channels, height, width] = shape;
    let plane = height.checked_mul(width).unwrap_or(0);
    let fits = |first: usize, count: usize, all: usize| {
        count > 0 && first.checked_add(count).is_some_and(|end| end <= all)
    };
    if !fits(window.top, window.height, height)
        || !fits(window.left, window.width, width)
        || plane.checked_mul(channels) != Some(pixels.len())
        || channels == 0
        || size.contains(&0)
    {
        let found = format!("{window:?} of {} bytes to {size:?}", pixels.len());
        return Err(wrong(found));
    }
    let failed = |error: &dyn std::fmt::Display| wrong(error.to_string());
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(kernel));
    let mut resizer = Resizer::new();
    let mut cut = Vec::with_capacity(window.height * window.width);
    let mut values = vec![0; channels * size[0] * size[1]];
    let targets = values.chunks_exact_mut(size[0] * size[1]);
    for (target, source) in targets.zip(pixels.chunks_exact(plane)) {
        cut.clear();
        for row in source
            .chunks_exact(width)
            .skip(window.top)
            .take(window.height)
        {
            cut.extend_from_slice(&row[window.left..window.left + window.width]);
        }
        if size == [window.height, window.width] {
            target.copy_from_slice(&cut);
            continue;
        }
        let [w, h] = [window.width as u32, window.height as u32];
        let source = ImageRef::new(w, h, &cut, PixelType::U8).map_err(|e| failed(&e))?;
        let [w, h] = [size[1] as u32, size[0] as u32];
        let mut target =
            Target::from_slice_u8(w, h, target, PixelType::U8).map_err(|e| failed(&e))?;
        resizer
            .resize(&source, &mut target, &options)
            .map_err(|e| failed(&e))?;
    }
    Buffer::new(vec![channels, size[0], size[1]], Values::U8(values))
}
