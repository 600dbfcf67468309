//! [`Picture`]: a decoded image.

use crate::{Buffer, DataError, Values};

/// An RGB image, 8 bits for each channel, row by row, the three channels of a pixel together.
#[derive(Clone, PartialEq, Eq)]
pub struct Picture {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

impl std::fmt::Debug for Picture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Picture({} x {})", self.width, self.height)
    }
}

impl Picture {
    /// `pixels` are `[height, width, 3]`.
    ///
    /// # Errors
    /// [`DataError::Shape`] for another number of bytes, or no pixel.
    pub fn new(width: usize, height: usize, pixels: Vec<u8>) -> Result<Self, DataError> {
        let bytes = width.checked_mul(height).and_then(|n| n.checked_mul(3));
        if bytes != Some(pixels.len()) || pixels.is_empty() {
            return Err(DataError::Shape {
                operation: "Picture::new".into(),
                expected: format!("{height} rows of {width} RGB pixels, at least one"),
                found: format!("{} bytes", pixels.len()),
            });
        }
        Ok(Self {
            width,
            height,
            pixels,
        })
    }

    /// Width in pixels, at least 1.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Height in pixels, at least 1.
    #[must_use]
    pub fn height(&self) -> usize {
        self.height
    }

    /// The bytes, `[height, width, 3]`.
    #[must_use]
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// The part from `left` and `top` of a size, moved and cut to lie within the image; at least one pixel.
    #[must_use]
    pub fn crop(&self, left: usize, top: usize, width: usize, height: usize) -> Self {
        let (left, top) = (left.min(self.width - 1), top.min(self.height - 1));
        let width = width.clamp(1, self.width - left);
        let height = height.clamp(1, self.height - top);
        let rows = self.pixels.chunks_exact(self.width * 3).skip(top);
        let pixels = rows
            .take(height)
            .flat_map(|row| row.iter().skip(left * 3).take(width * 3))
            .copied()
            .collect();
        Self {
            width,
            height,
            pixels,
        }
    }

    /// `u8 [channels, height, width]` with 1 channel (grey) or 3 (RGB).
    ///
    /// # Errors
    /// [`DataError::Config`] for another number of channels.
    pub fn to_buffer(&self, channels: usize) -> Result<Buffer, DataError> {
        let values: Vec<u8> = match channels {
            1 => self.pixels.chunks_exact(3).map(luma).collect(),
            3 => {
                let mut values = vec![0; self.pixels.len()];
                let (red, rest) = values.split_at_mut(self.width * self.height);
                let (green, blue) = rest.split_at_mut(self.width * self.height);
                let planes = red.iter_mut().zip(green).zip(blue);
                for (((r, g), b), pixel) in planes.zip(self.pixels.as_chunks().0) {
                    [*r, *g, *b] = *pixel;
                }
                values
            }
            _ => {
                return Err(DataError::Config {
                    field: "channels".into(),
                    reason: format!("an image file gives 1 or 3 channels, not {channels}"),
                });
            }
        };
        Buffer::new(vec![channels, self.height, self.width], Values::U8(values))
    }
}

/// ITU-R 601 luma with weights in 1/65536, rounded: PIL's conversion to `L`.
fn luma(rgb: &[u8]) -> u8 {
    let weights = [19_595_u32, 38_470, 7_471];
    let sum: u32 = rgb
        .iter()
        .zip(weights)
        .map(|(&x, w)| u32::from(x) * w)
        .sum();
    ((sum + 0x8000) >> 16) as u8
}
