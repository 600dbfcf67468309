//! Common corruptions of images (Hendrycks and Dietterich, 2019), in five severities: a test under a shift of
//! distribution made from real images.
//!
//! Each image gets its own noise, which depends only on the seed, the corruption, the severity and the index of the
//! example. The constants are those of the published sets, by the shorter side of the image: up to 32 pixels those of
//! CIFAR-10-C, up to 64 those of Tiny-ImageNet-C, above those of ImageNet-C.
//!
//! The published sets were stored as JPEG files (except CIFAR-10-C); here images are not compressed afterwards.

mod blur;
mod bytes;
mod constants;
mod dataset;
mod digital;
mod jpeg;
mod kind;
mod noise;

pub use constants::Strength;
pub use dataset::{Corrupted, CorruptionConfig};
pub use kind::Corruption;

use crate::DataError;
use crate::random::Stream;

impl Corruption {
    /// Corrupts an image.
    ///
    /// # Shapes
    /// - pixels and result: `u8 [channels, height, width]`, as in `shape`
    ///
    /// # Errors
    /// [`DataError::Shape`] if the pixels are not of the shape, or there is none; [`DataError::Config`] for a severity
    /// other than 1 to 5.
    pub fn apply(
        self,
        shape: [usize; 3],
        pixels: &[u8],
        severity: u8,
        stream: &mut Stream,
    ) -> Result<Vec<u8>, DataError> {
        let [channels, height, width] = shape;
        let size = height
            .checked_mul(width)
            .and_then(|n| n.checked_mul(channels));
        if size != Some(pixels.len()) || pixels.is_empty() {
            return Err(DataError::Shape {
                operation: format!("corruption {}", self.name()),
                expected: format!("an image u8 {shape:?} with at least one pixel"),
                found: format!("{} bytes", pixels.len()),
            });
        }
        let strength = Strength::of(self, severity, height.min(width))?;
        Ok(match strength {
            Strength::GaussianNoise(sigma) => noise::gaussian(pixels, sigma, stream),
            Strength::ShotNoise(photons) => noise::shot(pixels, photons, stream),
            Strength::ImpulseNoise(share) => noise::impulse(pixels, share, stream),
            Strength::DefocusBlur { radius, alias } => blur::defocus(shape, pixels, radius, alias),
            Strength::MotionBlur { radius, sigma } => {
                let angle = stream.between(-45.0, 45.0);
                blur::motion(shape, pixels, radius, sigma, angle)
            }
            Strength::Brightness(add) => digital::brightness(shape, pixels, add),
            Strength::Contrast(factor) => digital::contrast(shape, pixels, factor),
            Strength::Pixelate(factor) => digital::pixelate(shape, pixels, factor)?,
            Strength::Jpeg(quality) => jpeg::compress(shape, pixels, quality),
        })
    }
}

#[cfg(test)]
mod tests;
