//! [`Corruption`]: the kinds, and their names.

use serde::{Deserialize, Serialize};

use crate::DataError;

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
}
