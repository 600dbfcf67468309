//! [`RandomErasing`]: puts noise into a random rectangle.

use super::{Draws, Transform, image};
use crate::random::Stream;
use crate::{DataError, DatasetInfo, Example, InputKind};

/// Replaces a random rectangle by normal noise for each value (Zhong et al., 2020; timm's mode `pixel`).
///
/// The noise is standard normal after the image's normalization, rounded and cut to bytes; without one, its mean is
/// 127.5 and its standard deviation 63.75. Apply it last.
#[derive(Clone, Debug)]
pub struct RandomErasing {
    probability: f64,
    area: [f64; 2],
    /// Mean and standard deviation of each channel, in bytes.
    noise: Vec<[f64; 2]>,
}

impl RandomErasing {
    /// Shares of the area, timm's default.
    pub const AREA: [f64; 2] = [0.02, 1.0 / 3.0];
    /// Least height / width; the greatest is its inverse.
    const ASPECT: f64 = 0.3;

    /// Erases with a probability a share of the area between those of `area`.
    ///
    /// # Errors
    /// [`DataError::Config`] unless the probability is in 0 to 1 and `0 < area[0] <= area[1] <= 1`.
    pub fn new(probability: f64, area: [f64; 2], info: &DatasetInfo) -> Result<Self, DataError> {
        let ordered = 0.0 < area[0] && area[0] <= area[1] && area[1] <= 1.0;
        if !(0.0..=1.0).contains(&probability) || !ordered {
            return Err(DataError::Config {
                field: "data.augment".into(),
                reason: format!(
                    "random_erasing: probability {probability} must be in 0 to 1, areas {area:?} above 0, in order and \
                     at most 1"
                ),
            });
        }
        let normalization = info.inputs.iter().find_map(|(_, kind)| match kind {
            InputKind::Image { normalization, .. } => normalization.as_ref(),
            _ => None,
        });
        let noise = normalization.map(|n| {
            let channels = n.mean.iter().zip(&n.std);
            channels
                .map(|(&mean, &std)| [mean, std].map(|x| f64::from(x) * 255.0))
                .collect()
        });
        Ok(Self {
            probability,
            area,
            noise: noise.unwrap_or_default(),
        })
    }

    /// Top, left, height and width of the rectangle, if one of ten tries fits.
    fn rectangle(&self, stream: &mut Stream, height: usize, width: usize) -> Option<[usize; 4]> {
        let limit = Self::ASPECT.ln();
        (0..10).find_map(|_| {
            let area = stream.between(self.area[0], self.area[1]) * (height * width) as f64;
            let aspect = stream.between(limit, -limit).exp();
            let h = (area * aspect).sqrt().round_ties_even() as usize;
            let w = (area / aspect).sqrt().round_ties_even() as usize;
            (w < width && h < height).then(|| {
                let top = stream.below((height - h + 1) as u64) as usize;
                let left = stream.below((width - w + 1) as u64) as usize;
                [top, left, h, w]
            })
        })
    }
}

impl Transform for RandomErasing {
    fn name(&self) -> &str {
        "random_erasing"
    }

    fn check(&self, info: &DatasetInfo) -> Result<(), DataError> {
        image::check(self.name(), info)
    }

    fn apply(&self, example: &mut Example, draws: &Draws) -> Result<(), DataError> {
        let mut stream = draws.stream(self.name());
        image::for_each(self.name(), example, |mut image| {
            if stream.uniform() >= self.probability {
                return;
            }
            let width = image.width;
            let Some([top, left, h, w]) = self.rectangle(&mut stream, image.height, width) else {
                return;
            };
            for (channel, plane) in image.planes().enumerate() {
                let noise = self.noise.get(channel).or(self.noise.first());
                let [mean, std] = noise.copied().unwrap_or([127.5, 63.75]);
                for row in plane.chunks_exact_mut(width).skip(top).take(h) {
                    for value in row.iter_mut().skip(left).take(w) {
                        *value = (mean + std * stream.normal()).round().clamp(0.0, 255.0) as u8;
                    }
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::InMemory;
    use crate::{Buffer, Target, Values};

    #[test]
    fn a_quarter_of_the_images_lose_a_rectangle_to_noise() {
        let info = InMemory::images(1, 3, 32, 32, 2).info_owned();
        let erasing = RandomErasing::new(0.25, RandomErasing::AREA, &info).unwrap();
        let plain = Buffer::new(vec![3, 32, 32], Values::U8(vec![7; 3072])).unwrap();
        let (mut erased, mut share, mut sum, mut count) = (0, 0.0, 0.0, 0.0);
        for index in 0..2000 {
            let mut example = Example::new("image", plain.clone(), Target::Class(0));
            let draws = Draws {
                seed: 0,
                epoch: 0,
                index,
                repeat: 0,
            };
            erasing.apply(&mut example, &draws).unwrap();
            let Values::U8(pixels) = example.inputs[0].1.values() else {
                panic!("type changed")
            };
            let noise: Vec<f64> = pixels
                .iter()
                .filter(|&&x| x != 7)
                .map(|&x| x.into())
                .collect();
            if noise.is_empty() {
                continue;
            }
            erased += 1;
            share += noise.len() as f64 / 3072.0;
            sum += noise.iter().sum::<f64>();
            count += noise.len() as f64;
        }
        assert!((420..580).contains(&erased), "{erased}");
        let share = share / f64::from(erased);
        assert!((0.13..0.2).contains(&share), "{share}");
        // The normalization of these images has mean 0.5.
        assert!((sum / count - 127.5).abs() < 1.0, "{}", sum / count);
    }

    #[test]
    fn impossible_settings_are_errors() {
        let info = InMemory::images(1, 3, 8, 8, 2).info_owned();
        assert!(RandomErasing::new(1.5, RandomErasing::AREA, &info).is_err());
        assert!(RandomErasing::new(0.5, [0.5, 0.1], &info).is_err());
        assert!(RandomErasing::new(f64::NAN, [0.1, 0.5], &info).is_err());
    }
}
