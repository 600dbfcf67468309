//! Common corruptions of images (Hendrycks and Dietterich, 2019), in five severities: a test under a shift of
//! distribution made from real images.
//!
//! Each image gets its own noise, which depends only on the seed, the corruption, the severity and the index of the
//! example. The constants are those of the published sets, by the shorter side of the image: up to 32 pixels those of
//! CIFAR-10-C, up to 64 those of Tiny-ImageNet-C, above those of ImageNet-C.
//!
//! The published sets were stored as JPEG files (except CIFAR-10-C); here images are not compressed afterwards.

mod blur;
mod constants;
mod dataset;
mod digital;
mod jpeg;
mod noise;

pub use constants::Strength;
pub use dataset::{Corrupted, CorruptionConfig};

use serde::{Deserialize, Serialize};

use crate::random::Stream;
use crate::{Buffer, DataError, Values};

/// A kind of corruption.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Corruption {
    /// Normal noise on every value.
    GaussianNoise,
    /// Poisson noise, as of few photons.
    ShotNoise,
    /// Values that become 0 or 255.
    ImpulseNoise,
    /// A disk-shaped blur.
    DefocusBlur,
    /// A blur along a random direction within 45° of the horizontal.
    MotionBlur,
    /// More value in HSV.
    Brightness,
    /// Less distance from the mean of each channel.
    Contrast,
    /// Fewer, larger pixels.
    Pixelate,
    /// Compression by JPEG.
    Jpeg,
}

impl Corruption {
    /// All, in the order above.
    pub const ALL: [Self; 9] = [
        Self::GaussianNoise,
        Self::ShotNoise,
        Self::ImpulseNoise,
        Self::DefocusBlur,
        Self::MotionBlur,
        Self::Brightness,
        Self::Contrast,
        Self::Pixelate,
        Self::Jpeg,
    ];

    /// Name, as in a config.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::GaussianNoise => "gaussian_noise",
            Self::ShotNoise => "shot_noise",
            Self::ImpulseNoise => "impulse_noise",
            Self::DefocusBlur => "defocus_blur",
            Self::MotionBlur => "motion_blur",
            Self::Brightness => "brightness",
            Self::Contrast => "contrast",
            Self::Pixelate => "pixelate",
            Self::Jpeg => "jpeg",
        }
    }

    /// The corruption of a name.
    ///
    /// # Errors
    /// [`DataError::UnknownName`] with the names that exist.
    pub fn parse(name: &str) -> Result<Self, DataError> {
        let known = Self::ALL.into_iter();
        known
            .clone()
            .find(|kind| kind.name() == name)
            .ok_or_else(|| DataError::UnknownName {
                kind: "corruption",
                name: name.into(),
                known: known.map(|kind| kind.name().into()).collect(),
            })
    }

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

/// Values 0 to 1 as bytes, cut off as the published sets do. What rounding errors lack to the next byte is not cut off.
fn byte(value: f64) -> u8 {
    (value.clamp(0.0, 1.0) * 255.0 + 1e-6) as u8
}

/// The bytes of a buffer that holds some.
fn into_bytes(buffer: Buffer) -> Vec<u8> {
    match buffer.into_parts().1 {
        Values::U8(bytes) => bytes,
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests;
