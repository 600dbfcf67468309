//! [`RandAugment`]: random operations of random strength.

use super::affine::{self, Interpolation};
use super::{Draws, Image, Transform, colour, image, intensity};
use crate::random::Stream;
use crate::{DataError, DatasetInfo, Example};

/// Greatest magnitude.
const MOST: f64 = 10.0;

/// An operation with its argument.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Operation {
    /// [`intensity::auto_contrast`].
    AutoContrast,
    /// [`intensity::equalize`].
    Equalize,
    /// [`intensity::invert`].
    Invert,
    /// [`affine::rotate`] by degrees.
    Rotate(f64),
    /// [`intensity::posterize`] to bits.
    Posterize(u32),
    /// [`intensity::solarize`] from a threshold.
    Solarize(u16),
    /// [`intensity::solarize_add`].
    SolarizeAdd(u8),
    /// [`colour::saturation`] by a factor.
    Colour(f32),
    /// [`colour::contrast`] by a factor.
    Contrast(f32),
    /// [`colour::brightness`] by a factor.
    Brightness(f32),
    /// [`colour::sharpness`] by a factor.
    Sharpness(f32),
    /// [`affine::shear_x`].
    ShearX(f64),
    /// [`affine::shear_y`].
    ShearY(f64),
    /// [`affine::translate_x`] by a share of the width.
    TranslateX(f64),
    /// [`affine::translate_y`] by a share of the height.
    TranslateY(f64),
}

impl Operation {
    /// Number of kinds.
    pub const KINDS: usize = 15;

    /// The operation of a kind below [`KINDS`](Self::KINDS), in the order above, at a magnitude of 0 to 10. `increasing`
    /// chooses arguments whose effect grows with the magnitude throughout; `negative` the direction where there are two.
    #[must_use]
    pub fn at(kind: usize, magnitude: f64, increasing: bool, negative: bool) -> Self {
        let level = magnitude / MOST;
        let signed = |x: f64| if negative { -x } else { x };
        let factor = if increasing {
            (1.0 + signed(level * 0.9)).max(0.1) as f32
        } else {
            (level * 1.8 + 0.1) as f32
        };
        let bits = (level * 4.0) as u32;
        let threshold = ((level * 256.0) as u16).min(256);
        match kind {
            0 => Self::AutoContrast,
            1 => Self::Equalize,
            2 => Self::Invert,
            3 => Self::Rotate(signed(level * 30.0)),
            4 if increasing => Self::Posterize(4_u32.saturating_sub(bits)),
            4 => Self::Posterize(bits),
            5 if increasing => Self::Solarize(256 - threshold),
            5 => Self::Solarize(threshold),
            6 => Self::SolarizeAdd((level * 110.0).min(128.0) as u8),
            7 => Self::Colour(factor),
            8 => Self::Contrast(factor),
            9 => Self::Brightness(factor),
            10 => Self::Sharpness(factor),
            11 => Self::ShearX(signed(level * 0.3)),
            12 => Self::ShearY(signed(level * 0.3)),
            13 => Self::TranslateX(signed(level * 0.45)),
            _ => Self::TranslateY(signed(level * 0.45)),
        }
    }

    /// Applies it.
    pub fn apply(self, image: &mut Image<'_>, interpolation: Interpolation) {
        match self {
            Self::AutoContrast => intensity::auto_contrast(image),
            Self::Equalize => intensity::equalize(image),
            Self::Invert => intensity::invert(image),
            Self::Rotate(degrees) => affine::rotate(image, degrees, interpolation),
            Self::Posterize(bits) => intensity::posterize(image, bits),
            Self::Solarize(threshold) => intensity::solarize(image, threshold),
            Self::SolarizeAdd(add) => intensity::solarize_add(image, add),
            Self::Colour(factor) => colour::saturation(image, factor),
            Self::Contrast(factor) => colour::contrast(image, factor),
            Self::Brightness(factor) => colour::brightness(image, factor),
            Self::Sharpness(factor) => colour::sharpness(image, factor),
            Self::ShearX(factor) => affine::shear_x(image, factor, interpolation),
            Self::ShearY(factor) => affine::shear_y(image, factor, interpolation),
            Self::TranslateX(share) => affine::translate_x(image, share, interpolation),
            Self::TranslateY(share) => affine::translate_y(image, share, interpolation),
        }
    }
}

/// RandAugment (Cubuk et al., 2020) with the meaning of timm's `rand-…` settings: `layers` times one of 15 operations,
/// each used with a probability and at a magnitude that is drawn anew from a normal distribution, cut to 0 to 10.
///
/// Pixels from outside the image become 128; the interpolation is bilinear or bicubic at random.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RandAugment {
    /// Mean magnitude, 0 to 10. Default 10, as timm's.
    pub magnitude: f64,
    /// Standard deviation of the magnitude. Default 0.
    pub deviation: f64,
    /// Operations drawn for an image. Default 2.
    pub layers: usize,
    /// Probability that a drawn operation is used. Default 0.5.
    pub probability: f64,
    /// Whether every operation's effect grows with the magnitude. Default false.
    pub increasing: bool,
}

impl Default for RandAugment {
    fn default() -> Self {
        Self {
            magnitude: 10.0,
            deviation: 0.0,
            layers: 2,
            probability: 0.5,
            increasing: false,
        }
    }
}

impl RandAugment {
    /// Settings like `m9-mstd0.5-inc1`: parts joined by `-`, in any order: `m` magnitude, `mstd` its deviation, `n`
    /// layers, `p` probability, `inc` 0 or 1. A leading `rand` is allowed.
    ///
    /// # Errors
    /// [`DataError::Config`] for another part, or a number out of range.
    pub fn parse(text: &str) -> Result<Self, DataError> {
        let mut settings = Self::default();
        for part in text.split('-').filter(|&part| part != "rand") {
            let wrong = || DataError::Config {
                field: "data.augment".into(),
                reason: format!(
                    "rand_augment: `{part}` in `{text}`; parts are m0 to m10, mstd0 or more, n1 to n15, p0 to p1, inc0 \
                     or inc1, as in `rand_augment:m9-mstd0.5-inc1`"
                ),
            };
            let digits = part.find(|c: char| c.is_ascii_digit()).ok_or_else(wrong)?;
            let (name, number) = part.split_at(digits);
            let number: f64 = number.parse().map_err(|_| wrong())?;
            match name {
                "m" if (0.0..=MOST).contains(&number) => settings.magnitude = number,
                "mstd" if number <= 100.0 => settings.deviation = number,
                "n" if (1.0..=15.0).contains(&number) && number.fract() == 0.0 => {
                    settings.layers = number as usize;
                }
                "p" if (0.0..=1.0).contains(&number) => settings.probability = number,
                "inc" if number == 0.0 || number == 1.0 => settings.increasing = number == 1.0,
                _ => return Err(wrong()),
            }
        }
        Ok(settings)
    }

    /// The operations for one image.
    fn draw(&self, stream: &mut Stream) -> Vec<(Operation, Interpolation)> {
        let mut operations = Vec::with_capacity(self.layers);
        for _ in 0..self.layers {
            let kind = stream.below(Operation::KINDS as u64) as usize;
            let used = stream.uniform() < self.probability;
            let magnitude = self.magnitude + self.deviation * stream.normal();
            let negative = stream.uniform() < 0.5;
            let bicubic = stream.uniform() < 0.5;
            if used {
                let magnitude = magnitude.clamp(0.0, MOST);
                let operation = Operation::at(kind, magnitude, self.increasing, negative);
                let interpolation = if bicubic {
                    Interpolation::Bicubic
                } else {
                    Interpolation::Bilinear
                };
                operations.push((operation, interpolation));
            }
        }
        operations
    }
}

impl Transform for RandAugment {
    fn name(&self) -> &str {
        "rand_augment"
    }

    fn check(&self, info: &DatasetInfo) -> Result<(), DataError> {
        image::check(self.name(), info)
    }

    fn apply(&self, example: &mut Example, draws: &Draws) -> Result<(), DataError> {
        let operations = self.draw(&mut draws.stream(self.name()));
        image::for_each(self.name(), example, |mut image| {
            for (operation, interpolation) in &operations {
                operation.apply(&mut image, *interpolation);
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_those_of_timm_at_magnitude_nine() {
        // From timm's level functions at 9 with `inc1`; signs are drawn.
        let at = |kind, negative| Operation::at(kind, 9.0, true, negative);
        assert_eq!(at(3, true), Operation::Rotate(-27.0));
        assert_eq!(at(4, false), Operation::Posterize(1));
        assert_eq!(at(5, false), Operation::Solarize(26));
        assert_eq!(at(6, false), Operation::SolarizeAdd(99));
        assert_eq!(at(7, false), Operation::Colour(1.81));
        assert_eq!(at(8, true), Operation::Contrast(0.19));
        let Operation::ShearX(shear) = at(11, false) else {
            panic!("kind")
        };
        assert!((shear - 0.27).abs() < 1e-12);
        let Operation::TranslateY(share) = at(14, true) else {
            panic!("kind")
        };
        assert!((share + 0.405).abs() < 1e-12);
        assert_eq!(
            Operation::at(9, 9.0, false, true),
            Operation::Brightness(1.72)
        );
        assert_eq!(Operation::at(4, 9.0, false, true), Operation::Posterize(3));
        assert_eq!(Operation::at(5, 10.0, true, true), Operation::Solarize(0));
    }

    #[test]
    fn half_of_two_operations_are_used_and_all_kinds_occur() {
        let settings = RandAugment::parse("rand-m9-mstd0.5-inc1").unwrap();
        let mut stream = Stream::new(0, "kinds", &[]);
        let mut kinds = std::collections::HashMap::new();
        let (mut count, mut degrees) = (0, Vec::new());
        for _ in 0..6000 {
            for (operation, _) in settings.draw(&mut stream) {
                *kinds.entry(std::mem::discriminant(&operation)).or_insert(0) += 1;
                count += 1;
                if let Operation::Rotate(angle) = operation {
                    degrees.push(angle);
                }
            }
        }
        assert!((5800..6200).contains(&count), "{count}");
        assert_eq!(kinds.len(), Operation::KINDS);
        assert!(kinds.values().all(|n| (310..490).contains(n)), "{kinds:?}");
        let strength = degrees.iter().map(|x| x.abs()).sum::<f64>() / degrees.len() as f64;
        assert!((strength - 27.0).abs() < 0.5, "{strength}");
        let positive = degrees.iter().filter(|&&x| x > 0.0).count();
        assert!((150..260).contains(&positive), "{positive}");
    }

    #[test]
    fn settings_are_parsed_or_explained() {
        let found = RandAugment::parse("m7-n3-p0.9").unwrap();
        assert_eq!(
            (found.magnitude, found.layers, found.probability),
            (7.0, 3, 0.9)
        );
        for wrong in ["", "m", "m11", "x3", "inc2", "n0", "m9--n2", "mstd1e"] {
            let error = RandAugment::parse(wrong).unwrap_err().to_string();
            assert!(error.contains("m9-mstd0.5-inc1"), "{wrong}: {error}");
        }
    }
}
