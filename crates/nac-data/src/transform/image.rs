//! The image of an example, as rows of bytes, for the image transforms.

use crate::buffer::ValuesMut;
use crate::{Buffer, DataError, DatasetInfo, Example, InputKind, Values};

/// Checks that a data set has an image.
pub(super) fn check(transform: &str, info: &DatasetInfo) -> Result<(), DataError> {
    if info
        .inputs
        .iter()
        .any(|(_, kind)| matches!(kind, InputKind::Image { .. }))
    {
        return Ok(());
    }
    Err(DataError::Config {
        field: "data.augment".into(),
        reason: format!(
            "`{transform}` needs an image; data set `{}` has none",
            info.name
        ),
    })
}

/// Height and width that the images of a data set have.
pub(super) fn size(info: &DatasetInfo) -> Option<[usize; 2]> {
    info.inputs.iter().find_map(|(_, kind)| match kind {
        InputKind::Image { height, width, .. } => Some([*height, *width]),
        _ => None,
    })
}

/// An image `[channels, height, width]`, borrowed mutably.
pub struct Image<'a> {
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) pixels: &'a mut [u8],
}

impl<'a> Image<'a> {
    /// `pixels` are whole planes of `height` rows of `width` pixels.
    ///
    /// # Errors
    /// [`DataError::Shape`] if they are not, or there is no pixel.
    pub fn new(height: usize, width: usize, pixels: &'a mut [u8]) -> Result<Self, DataError> {
        let plane = height.checked_mul(width).unwrap_or(0);
        if plane == 0 || pixels.is_empty() || !pixels.len().is_multiple_of(plane) {
            return Err(DataError::Shape {
                operation: "Image::new".into(),
                expected: format!("planes of {height} rows of {width} pixels"),
                found: format!("{} bytes", pixels.len()),
            });
        }
        Ok(Self {
            height,
            width,
            pixels,
        })
    }

    /// The planes, one for each channel.
    pub(super) fn planes(&mut self) -> impl Iterator<Item = &mut [u8]> {
        self.pixels.chunks_exact_mut(self.height * self.width)
    }

    /// Red, green and blue, if there are three channels.
    pub(super) fn rgb(&mut self) -> Option<[&mut [u8]; 3]> {
        let plane = self.height * self.width;
        if self.pixels.len() != 3 * plane {
            return None;
        }
        let (red, rest) = self.pixels.split_at_mut(plane);
        let (green, blue) = rest.split_at_mut(plane);
        Some([red, green, blue])
    }
}

/// Replaces every `u8 [channels, height, width]` input by what `change` makes of its shape and pixels.
pub(super) fn replace_each(
    transform: &str,
    example: &mut Example,
    mut change: impl FnMut([usize; 3], &[u8]) -> Result<Buffer, DataError>,
) -> Result<(), DataError> {
    let mut changed = false;
    for (_, buffer) in &mut example.inputs {
        if let (&[channels, height, width], Values::U8(pixels)) = (buffer.shape(), buffer.values())
            && !pixels.is_empty()
        {
            *buffer = change([channels, height, width], pixels)?;
            changed = true;
        }
    }
    if changed {
        return Ok(());
    }
    let found = example
        .inputs
        .iter()
        .map(|(name, b)| format!("`{name}` as {}", b.describe()));
    Err(no_image(transform, found.collect::<Vec<_>>().join(", ")))
}

fn no_image(transform: &str, found: String) -> DataError {
    DataError::Shape {
        operation: format!("transform `{transform}`"),
        expected: "an input u8 [channels, height, width]".into(),
        found,
    }
}

/// Calls `change` on every `u8 [channels, height, width]` input of the example.
pub(super) fn for_each(
    transform: &str,
    example: &mut Example,
    mut change: impl FnMut(Image<'_>),
) -> Result<(), DataError> {
    let mut found = String::new();
    let mut changed = false;
    for (name, buffer) in &mut example.inputs {
        found = format!("`{name}` as {}", buffer.describe());
        let &[_, height, width] = buffer.shape() else {
            continue;
        };
        if height == 0 || width == 0 {
            continue;
        }
        if let ValuesMut::U8(pixels) = buffer.values_mut() {
            change(Image {
                height,
                width,
                pixels,
            });
            changed = true;
        }
    }
    if changed {
        return Ok(());
    }
    Err(no_image(transform, found))
}
