//! [`ColourJitter`]: random brightness, contrast, saturation and hue.

use super::{Draws, Transform, colour, image};
use crate::{DataError, DatasetInfo, Example};

/// Changes brightness, contrast and saturation by random factors and turns the hue, in random order, as torchvision's
/// `ColorJitter`.
///
/// A strength `s` gives factors from `max(0, 1 − s)` to `1 + s`; hue is turned by up to its strength in turns of the
/// colour circle. Images with other than three channels keep saturation and hue.
#[derive(Clone, Copy, Debug)]
pub struct ColourJitter {
    strengths: [f64; 3],
    hue: f64,
}

impl ColourJitter {
    /// Strengths of brightness, contrast and saturation, and of the hue, 0 to 0.5.
    ///
    /// # Errors
    /// [`DataError::Config`] for a strength that is negative or not finite, or too much hue.
    pub fn new(strengths: [f64; 3], hue: f64) -> Result<Self, DataError> {
        let fine = strengths.iter().all(|s| s.is_finite() && *s >= 0.0);
        if !fine || !(0.0..=0.5).contains(&hue) {
            return Err(DataError::Config {
                field: "data.augment".into(),
                reason: format!(
                    "colour_jitter: strengths {strengths:?} must be at least 0, hue {hue} in 0 to 0.5"
                ),
            });
        }
        Ok(Self { strengths, hue })
    }
}

impl Transform for ColourJitter {
    fn name(&self) -> &str {
        "colour_jitter"
    }

    fn check(&self, info: &DatasetInfo) -> Result<(), DataError> {
        image::check(self.name(), info)
    }

    fn apply(&self, example: &mut Example, draws: &Draws) -> Result<(), DataError> {
        let mut stream = draws.stream(self.name());
        let mut order = [0, 1, 2, 3];
        stream.shuffle(&mut order);
        let factors = self
            .strengths
            .map(|s| stream.between((1.0 - s).max(0.0), 1.0 + s) as f32);
        let turns = stream.between(-self.hue, self.hue) as f32;
        image::for_each(self.name(), example, |mut image| {
            for step in order {
                let factor = factors.get(step).copied().unwrap_or(1.0);
                match step {
                    0 if self.strengths[0] > 0.0 => colour::brightness(&mut image, factor),
                    1 if self.strengths[1] > 0.0 => colour::contrast(&mut image, factor),
                    2 if self.strengths[2] > 0.0 => colour::saturation(&mut image, factor),
                    3 if self.hue > 0.0 => colour::hue(&mut image, turns),
                    _ => {}
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Buffer, Target, Values};

    /// Mean of each version of a grey image of value 100.
    fn means(jitter: ColourJitter) -> Vec<f64> {
        let image = Buffer::new(vec![3, 2, 2], Values::U8(vec![100; 12])).unwrap();
        (0..2000)
            .map(|index| {
                let mut example = Example::new("image", image.clone(), Target::Class(0));
                let draws = Draws {
                    seed: 0,
                    epoch: 0,
                    index,
                    repeat: 0,
                };
                jitter.apply(&mut example, &draws).unwrap();
                let Values::U8(pixels) = example.inputs[0].1.values() else {
                    panic!("type changed")
                };
                pixels.iter().map(|&x| f64::from(x)).sum::<f64>() / 12.0
            })
            .collect()
    }

    #[test]
    fn brightness_is_uniform_between_its_bounds() {
        let found = means(ColourJitter::new([0.4, 0.0, 0.0], 0.0).unwrap());
        let mean = found.iter().sum::<f64>() / 2000.0;
        // Truncation takes half a step; the standard error is 0.5.
        assert!((97.0..102.0).contains(&mean), "{mean}");
        let (low, high) = found
            .iter()
            .fold((255.0_f64, 0.0_f64), |(l, h), &x| (l.min(x), h.max(x)));
        assert!(
            (60.0..61.0).contains(&low) && (139.0..=140.0).contains(&high),
            "{low} {high}"
        );
        // A grey image has no saturation or hue, and is its own mean.
        let found = means(ColourJitter::new([0.0, 0.5, 0.5], 0.1).unwrap());
        assert!(found.iter().all(|&x| x == 100.0));
    }

    #[test]
    fn impossible_strengths_are_errors() {
        assert!(ColourJitter::new([-0.1, 0.0, 0.0], 0.0).is_err());
        assert!(ColourJitter::new([0.0, f64::NAN, 0.0], 0.0).is_err());
        assert!(ColourJitter::new([0.0, 0.0, 0.0], 0.6).is_err());
    }
}
