//! Values as bytes.

use crate::{Buffer, Values};

/// Values 0 to 1 as bytes, cut off as the published sets do. What rounding errors lack to the next byte is not cut off.
pub(super) fn byte(value: f64) -> u8 {
    (value.clamp(0.0, 1.0) * 255.0 + 1e-6) as u8
}

/// The bytes of a buffer that holds some.
pub(super) fn into_bytes(buffer: Buffer) -> Vec<u8> {
    match buffer.into_parts().1 {
        Values::U8(bytes) => bytes,
        _ => Vec::new(),
    }
}
