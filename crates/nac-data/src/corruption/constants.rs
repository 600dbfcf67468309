//! The published strengths of the corruptions.

use super::kind::Corruption;
use crate::DataError;

/// A corruption with its constants.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Strength {
    /// Standard deviation, of values 0 to 1.
    GaussianNoise(f64),
    /// Photons of a white pixel.
    ShotNoise(f64),
    /// Share of the values.
    ImpulseNoise(f64),
    /// A disk.
    DefocusBlur {
        /// Radius in pixels.
        radius: f64,
        /// Standard deviation of the blur of the disk's edge, in pixels.
        alias: f64,
    },
    /// One half of a bell curve along a line.
    MotionBlur {
        /// Length of the line in pixels.
        radius: usize,
        /// Standard deviation in pixels.
        sigma: f64,
    },
    /// What is added to the value.
    Brightness(f64),
    /// Factor of the distance from the mean.
    Contrast(f64),
    /// Factor of height and width.
    Pixelate(f64),
    /// Quality, 1 to 100.
    Jpeg(u8),
}

/// Rows: CIFAR-10-C, Tiny-ImageNet-C, ImageNet-C; columns: severities.
type Table<T> = [[T; 5]; 3];

const GAUSSIAN: Table<f64> = [
    [0.04, 0.06, 0.08, 0.09, 0.10],
    [0.04, 0.08, 0.12, 0.15, 0.18],
    [0.08, 0.12, 0.18, 0.26, 0.38],
];
const SHOT: Table<f64> = [
    [500.0, 250.0, 100.0, 75.0, 50.0],
    [250.0, 100.0, 50.0, 30.0, 15.0],
    [60.0, 25.0, 12.0, 5.0, 3.0],
];
const IMPULSE: Table<f64> = [
    [0.01, 0.02, 0.03, 0.05, 0.07],
    [0.01, 0.02, 0.05, 0.08, 0.14],
    [0.03, 0.06, 0.09, 0.17, 0.27],
];
const DEFOCUS: Table<(f64, f64)> = [
    [(0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1.0, 0.2), (1.5, 0.1)],
    [(0.5, 0.6), (1.0, 0.1), (1.5, 0.1), (2.5, 0.01), (3.0, 0.1)],
    [(3.0, 0.1), (4.0, 0.5), (6.0, 0.5), (8.0, 0.5), (10.0, 0.5)],
];
const MOTION: Table<(usize, f64)> = [
    [(6, 1.0), (6, 1.5), (6, 2.0), (8, 2.0), (9, 2.5)],
    [(10, 1.0), (10, 1.5), (10, 2.0), (10, 2.5), (12, 3.0)],
    [(10, 3.0), (15, 5.0), (15, 8.0), (15, 12.0), (20, 15.0)],
];
const BRIGHTNESS: Table<f64> = [
    [0.05, 0.1, 0.15, 0.2, 0.3],
    [0.1, 0.2, 0.3, 0.4, 0.5],
    [0.1, 0.2, 0.3, 0.4, 0.5],
];
const CONTRAST: Table<f64> = [
    [0.75, 0.5, 0.4, 0.3, 0.15],
    [0.4, 0.3, 0.2, 0.1, 0.05],
    [0.4, 0.3, 0.2, 0.1, 0.05],
];
const PIXELATE: Table<f64> = [
    [0.95, 0.9, 0.85, 0.75, 0.65],
    [0.9, 0.8, 0.7, 0.6, 0.5],
    [0.6, 0.5, 0.4, 0.3, 0.25],
];
const JPEG: Table<u8> = [
    [80, 65, 58, 50, 40],
    [65, 58, 50, 40, 25],
    [25, 18, 15, 10, 7],
];

impl Strength {
    /// The constants of a corruption at a severity of 1 to 5, for images whose shorter side has so many pixels.
    ///
    /// # Errors
    /// [`DataError::Config`] for another severity.
    pub fn of(kind: Corruption, severity: u8, side: usize) -> Result<Self, DataError> {
        let column = usize::from(severity).wrapping_sub(1);
        if column >= 5 {
            return Err(DataError::Config {
                field: "data.corruption.severity".into(),
                reason: format!("{severity} is not 1 to 5"),
            });
        }
        let row = match side {
            0..=32 => 0,
            33..=64 => 1,
            _ => 2,
        };
        Ok(match kind {
            Corruption::GaussianNoise => Self::GaussianNoise(GAUSSIAN[row][column]),
            Corruption::ShotNoise => Self::ShotNoise(SHOT[row][column]),
            Corruption::ImpulseNoise => Self::ImpulseNoise(IMPULSE[row][column]),
            Corruption::DefocusBlur => {
                let (radius, alias) = DEFOCUS[row][column];
                Self::DefocusBlur { radius, alias }
            }
            Corruption::MotionBlur => {
                let (radius, sigma) = MOTION[row][column];
                Self::MotionBlur { radius, sigma }
            }
            Corruption::Brightness => Self::Brightness(BRIGHTNESS[row][column]),
            Corruption::Contrast => Self::Contrast(CONTRAST[row][column]),
            Corruption::Pixelate => Self::Pixelate(PIXELATE[row][column]),
            Corruption::Jpeg => Self::Jpeg(JPEG[row][column]),
        })
    }
}
