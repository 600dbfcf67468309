//! The image of an example, as rows of bytes, for the image transforms.

use crate::buffer::ValuesMut;
use crate::{DataError, DatasetInfo, Example, InputKind};

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

/// An image `[channels, height, width]`, borrowed mutably.
pub(super) struct Image<'a> {
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) pixels: &'a mut [u8],
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
    Err(DataError::Shape {
        operation: format!("transform `{transform}`"),
        expected: "an input u8 [channels, height, width]".into(),
        found,
    })
}
