//! Image files: decoded with bounded memory, upright, and resized as PIL does it.

mod decode;
mod picture;
mod resize;

pub use decode::{MAX_PIXELS, check_header, decode, read};
pub use picture::Picture;
pub use resize::resize;

use std::path::Path;

use crate::{Buffer, DataError, Resize, ResizeFilter};

/// An image file as the input of a model: `u8 [channels, height, width]` for `size = [channels, height, width]`.
///
/// With 1 channel it is grey (luma of ITU-R 601), with 3 RGB.
///
/// # Errors
/// As [`read`]; [`DataError::Config`] for a size with other channels or without pixels.
pub fn prepare(
    path: &Path,
    size: [usize; 3],
    how: Resize,
    filter: ResizeFilter,
) -> Result<Buffer, DataError> {
    let [channels, height, width] = size;
    resize(&read(path)?, [height, width], how, filter)?.to_buffer(channels)
}

/// The same for the bytes of a file; `name` is what errors call it.
///
/// # Errors
/// As [`prepare`].
pub fn prepare_bytes(
    name: &Path,
    bytes: &[u8],
    size: [usize; 3],
    how: Resize,
    filter: ResizeFilter,
) -> Result<Buffer, DataError> {
    let [channels, height, width] = size;
    resize(&decode(name, bytes)?, [height, width], how, filter)?.to_buffer(channels)
}

#[cfg(test)]
mod tests;
