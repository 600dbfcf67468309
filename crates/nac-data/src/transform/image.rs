//! The picture of an example, as rows of bytes, for the image transforms.

use crate::buffer::ValuesMut;
use crate::{DataError, DatasetInfo, Example, InputKind};

/// Checks that a data set has a picture.
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

/// A picture `[channels, height, width]`, borrowed for change.
pub(super) struct Picture<'a> {
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) pixels: &'a mut [u8],
}

/// Calls `change` on every `u8 [channels, height, width]` input of the example.
pub(super) fn for_each(
    transform: &str,
    example: &mut Example,
    mut change: impl FnMut(Picture<'_>),
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
            change(Picture {
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
