//! [`HorizontalFlip`]: mirrors half of the images.

use super::{Draws, Transform, image};
use crate::{DataError, DatasetInfo, Example};

/// Mirrors the image left to right with probability one half.
#[derive(Clone, Copy, Debug, Default)]
pub struct HorizontalFlip;

impl Transform for HorizontalFlip {
    fn name(&self) -> &str {
        "horizontal_flip"
    }

    fn check(&self, info: &DatasetInfo) -> Result<(), DataError> {
        image::check(self.name(), info)
    }

    fn apply(&self, example: &mut Example, draws: &Draws) -> Result<(), DataError> {
        let flip = draws.stream(self.name()).uniform() < 0.5;
        image::for_each(self.name(), example, |image| {
            if flip {
                image
                    .pixels
                    .chunks_exact_mut(image.width)
                    .for_each(<[u8]>::reverse);
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Buffer, Target, Values};

    #[test]
    fn about_half_are_flipped_and_only_rows_change() {
        let image = Buffer::new(vec![1, 2, 3], Values::U8(vec![1, 2, 3, 4, 5, 6])).unwrap();
        let plain = Example {
            inputs: vec![("image".into(), image)],
            target: Target::Class(0),
        };
        let mut flipped = 0;
        for index in 0..200 {
            let mut example = plain.clone();
            HorizontalFlip
                .apply(
                    &mut example,
                    &Draws {
                        seed: 1,
                        epoch: 0,
                        index,
                        repeat: 0,
                    },
                )
                .unwrap();
            if example != plain {
                let wanted = Values::U8(vec![3, 2, 1, 6, 5, 4]);
                assert_eq!(example.inputs[0].1.values(), &wanted);
                flipped += 1;
            }
        }
        assert!((70..130).contains(&flipped), "{flipped} of 200");
    }

    #[test]
    fn tokens_are_refused() {
        let inputs = vec![("tokens".to_string(), Buffer::tokens(vec![1]))];
        let mut example = Example {
            inputs,
            target: Target::Class(0),
        };
        let draws = Draws {
            seed: 0,
            epoch: 0,
            index: 0,
            repeat: 0,
        };
        let error = HorizontalFlip
            .apply(&mut example, &draws)
            .unwrap_err()
            .to_string();
        assert!(error.contains("i64 [1]"), "{error}");
    }
}
