//! [`RandomCrop`]: shifts the image by a few pixels, padding with black.

use super::{Draws, Transform, image};
use crate::{DataError, DatasetInfo, Example};

/// Pads the image with zeros on all sides and cuts a window of the original size at a random offset:
/// each of the `(2·padding + 1)²` offsets is equally likely.
#[derive(Clone, Copy, Debug)]
pub struct RandomCrop {
    padding: usize,
}

impl RandomCrop {
    /// Greatest padding.
    pub const MAX_PADDING: usize = 1024;

    /// Padding in pixels.
    ///
    /// # Errors
    /// [`DataError::Config`] above [`Self::MAX_PADDING`].
    pub fn new(padding: usize) -> Result<Self, DataError> {
        if padding > Self::MAX_PADDING {
            return Err(DataError::Config {
                field: "data.augment".into(),
                reason: format!(
                    "random_crop: padding {padding} is above {}",
                    Self::MAX_PADDING
                ),
            });
        }
        Ok(Self { padding })
    }
}

impl Transform for RandomCrop {
    fn name(&self) -> &str {
        "random_crop"
    }

    fn check(&self, info: &DatasetInfo) -> Result<(), DataError> {
        image::check(self.name(), info)
    }

    fn apply(&self, example: &mut Example, draws: &Draws) -> Result<(), DataError> {
        let mut stream = draws.stream(self.name());
        let places = 2 * self.padding as u64 + 1;
        let pad = self.padding as isize;
        let down = stream.below(places) as isize - pad;
        let right = stream.below(places) as isize - pad;
        image::for_each(self.name(), example, |image| {
            let old = image.pixels.to_vec();
            let (height, width) = (image.height, image.width);
            image.pixels.fill(0);
            let (rows, columns) = (overlap(height, down), overlap(width, right));
            if columns.is_empty() {
                return;
            }
            let planes = image.pixels.chunks_exact_mut(height * width);
            for (new, old) in planes.zip(old.chunks_exact(height * width)) {
                for row in rows.clone() {
                    let from = row.wrapping_add_signed(down) * width;
                    let source = columns.start.wrapping_add_signed(right) + from;
                    new[row * width..][columns.clone()]
                        .copy_from_slice(&old[source..source + columns.len()]);
                }
            }
        })
    }
}

/// Indices `i` in `0..size` for which `i + shift` is in `0..size` too.
fn overlap(size: usize, shift: isize) -> std::ops::Range<usize> {
    let distance = shift.unsigned_abs().min(size);
    if shift < 0 {
        distance..size
    } else {
        0..size - distance
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Buffer, Target, Values};

    /// Slow reference: pad, then cut.
    fn pad_and_cut(old: &[u8], h: usize, w: usize, down: isize, right: isize) -> Vec<u8> {
        let at = |r: isize, c: isize| {
            let inside = r >= 0 && c >= 0 && (r as usize) < h && (c as usize) < w;
            if inside {
                old[r as usize * w + c as usize]
            } else {
                0
            }
        };
        let rows = 0..h as isize;
        rows.flat_map(|r| (0..w as isize).map(move |c| (r, c)))
            .map(|(r, c)| at(r + down, c + right))
            .collect()
    }

    #[test]
    fn every_crop_is_a_shift_and_all_shifts_occur() {
        let (h, w, padding) = (3, 2, 2);
        let pixels: Vec<u8> = (1..=6).collect();
        let image = Buffer::new(vec![1, h, w], Values::U8(pixels.clone())).unwrap();
        let crop = RandomCrop::new(padding).unwrap();
        let mut seen = std::collections::BTreeSet::new();
        let mut wanted = std::collections::BTreeSet::new();
        for down in -2..=2 {
            for right in -2..=2 {
                wanted.insert(pad_and_cut(&pixels, h, w, down, right));
            }
        }
        for index in 0..600 {
            let mut example = Example {
                inputs: vec![("image".into(), image.clone())],
                target: Target::Class(0),
            };
            crop.apply(
                &mut example,
                &Draws {
                    seed: 5,
                    epoch: 1,
                    index,
                    repeat: 0,
                },
            )
            .unwrap();
            let Values::U8(new) = example.inputs[0].1.values() else {
                panic!("type changed")
            };
            seen.insert(new.clone());
        }
        assert_eq!(seen, wanted);
    }

    #[test]
    fn padding_wider_than_the_image_is_fine_and_absurd_padding_is_not() {
        let image = Buffer::new(vec![2, 1, 1], Values::U8(vec![9, 9])).unwrap();
        let crop = RandomCrop::new(7).unwrap();
        for index in 0..50 {
            let mut example = Example {
                inputs: vec![("image".into(), image.clone())],
                target: Target::Class(0),
            };
            crop.apply(
                &mut example,
                &Draws {
                    seed: 0,
                    epoch: 0,
                    index,
                    repeat: 0,
                },
            )
            .unwrap();
            assert_eq!(example.inputs[0].1.shape(), &[2, 1, 1]);
        }
        assert!(RandomCrop::new(usize::MAX).is_err());
    }
}
