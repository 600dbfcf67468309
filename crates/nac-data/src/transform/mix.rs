//! [`Mix`]: mixup and cutmix, which mix the examples of a batch.

use super::{BatchDraws, Draws, Transform, image};
use crate::buffer::ValuesMut;
use crate::random::Stream;
use crate::{Batch, DataError, DatasetInfo, Example, OutputSpec, Targets};

/// Mixes each image of a batch with its partner from the other end of the batch, and the targets by the same share λ.
///
/// - mixup (Zhang et al., 2018): `λ·image + (1 − λ)·partner`, rounded to bytes;
/// - cutmix (Yun et al., 2019): a rectangle of about `1 − λ` of the area comes from the partner; λ is then the share that
///   stayed.
///
/// λ is drawn for each batch from Beta(α, α). With both, each batch gets one of them, with equal probability. Targets
/// become [`Targets::Soft`]. This is what timm's `Mixup` does in mode `batch`.
#[derive(Clone, Copy, Debug)]
pub struct Mix {
    mixup: Option<f64>,
    cutmix: Option<f64>,
    classes: usize,
}

/// A rectangle: rows `top..bottom`, columns `left..right`.
type Rectangle = [usize; 4];

impl Mix {
    /// α of mixup and of cutmix, of those that are used.
    ///
    /// # Errors
    /// [`DataError::Config`] for an α that is not above 0 and at most 1000, a data set without classes, or one without
    /// an image.
    pub fn new(
        mixup: Option<f64>,
        cutmix: Option<f64>,
        info: &DatasetInfo,
    ) -> Result<Self, DataError> {
        let wrong = |reason: String| DataError::Config {
            field: "data.augment".into(),
            reason,
        };
        if let Some(alpha) = [mixup, cutmix]
            .into_iter()
            .flatten()
            .find(|a| !(*a > 0.0 && *a <= 1000.0))
        {
            return Err(wrong(format!(
                "mixup and cutmix: alpha {alpha} must be above 0 and at most 1000"
            )));
        }
        image::check("mixup and cutmix", info)?;
        let OutputSpec::Classes { count, .. } = info.output else {
            let name = &info.name;
            return Err(wrong(format!(
                "mixup and cutmix need classes; data set `{name}` has none"
            )));
        };
        Ok(Self {
            mixup,
            cutmix,
            classes: count,
        })
    }

    /// Whether this batch is cut, and its λ.
    fn draw(&self, stream: &mut Stream) -> (bool, f64) {
        let second = stream.uniform() < 0.5;
        match (self.mixup, self.cutmix) {
            (Some(_), Some(alpha)) if second => (true, stream.beta(alpha)),
            (Some(alpha), _) => (false, stream.beta(alpha)),
            (None, Some(alpha)) => (true, stream.beta(alpha)),
            (None, None) => (false, 1.0),
        }
    }
}

impl Transform for Mix {
    fn name(&self) -> &str {
        "mix"
    }

    fn check(&self, info: &DatasetInfo) -> Result<(), DataError> {
        Self::new(self.mixup, self.cutmix, info).map(|_| ())
    }

    fn apply(&self, _: &mut Example, _: &Draws) -> Result<(), DataError> {
        Ok(())
    }

    fn changes_batches(&self) -> bool {
        true
    }

    fn apply_batch(&self, batch: &mut Batch, draws: &BatchDraws) -> Result<(), DataError> {
        let mut stream = draws.stream(self.name());
        let (cut, mut share) = self.draw(&mut stream);
        for (_, buffer) in &mut batch.inputs {
            let &[count, _, height, width] = buffer.shape() else {
                continue;
            };
            let ValuesMut::U8(pixels) = buffer.values_mut() else {
                continue;
            };
            if cut {
                let rectangle = rectangle(share, [height, width], &mut stream);
                share = cut_images(pixels, count, [height, width], rectangle);
            } else {
                mix_images(pixels, count, share as f32);
            }
        }
        batch.targets = mix_targets(batch.targets.classes()?, self.classes, share as f32);
        Ok(())
    }
}

/// A rectangle of `1 − share` of the area with the image's proportions around a random centre, cut to the image.
fn rectangle(share: f64, [height, width]: [usize; 2], stream: &mut Stream) -> Rectangle {
    let ratio = (1.0 - share).sqrt();
    let mut side = |size: usize| {
        let length = (size as f64 * ratio) as usize;
        let centre = stream.below(size as u64) as usize;
        let end = (centre + length.div_ceil(2)).min(size);
        (centre.saturating_sub(length / 2), end)
    };
    let (rows, columns) = (side(height), side(width));
    [rows.0, rows.1, columns.0, columns.1]
}

/// `λ·image + (1 − λ)·partner` of `count` images, rounded to the nearest, halves to even.
pub fn mix_images(pixels: &mut [u8], count: usize, share: f32) {
    pairs(pixels, count, |first, second| {
        let mix = |x: f32, y: f32| (x * share + y * (1.0 - share)).round_ties_even() as u8;
        for (x, y) in first.iter_mut().zip(second) {
            let (a, b) = (f32::from(*x), f32::from(*y));
            (*x, *y) = (mix(a, b), mix(b, a));
        }
    });
}

/// Exchanges a rectangle between the partners; returns the share of each image that stays.
pub fn cut_images(
    pixels: &mut [u8],
    count: usize,
    [height, width]: [usize; 2],
    [top, bottom, left, right]: Rectangle,
) -> f64 {
    let (rows, columns) = (bottom.saturating_sub(top), right.saturating_sub(left));
    pairs(pixels, count, |first, second| {
        let planes = first
            .chunks_exact_mut(height * width)
            .zip(second.chunks_exact_mut(height * width));
        for (first, second) in planes {
            let lines = first
                .chunks_exact_mut(width)
                .zip(second.chunks_exact_mut(width));
            for (first, second) in lines.skip(top).take(rows) {
                let values = first.iter_mut().zip(second).skip(left).take(columns);
                values.for_each(|(x, y)| std::mem::swap(x, y));
            }
        }
    });
    1.0 - (rows * columns) as f64 / (height * width).max(1) as f64
}

/// Calls `change` on image `i` and image `count − 1 − i`, once for each pair. A middle image is its own partner and stays.
fn pairs(pixels: &mut [u8], count: usize, mut change: impl FnMut(&mut [u8], &mut [u8])) {
    let size = pixels.len() / count.max(1);
    if size == 0 {
        return;
    }
    let (first, rest) = pixels.split_at_mut(count / 2 * size);
    let second = rest.chunks_exact_mut(size).rev();
    for (first, second) in first.chunks_exact_mut(size).zip(second) {
        change(first, second);
    }
}

/// `λ` on the example's own class and `1 − λ` on its partner's.
pub fn mix_targets(labels: &[i64], classes: usize, share: f32) -> Targets {
    let mut values = vec![0.0; labels.len() * classes];
    let rows = values.chunks_exact_mut(classes.max(1));
    for ((row, &own), &partner) in rows.zip(labels).zip(labels.iter().rev()) {
        for (class, weight) in [(own, share), (partner, 1.0 - share)] {
            let place = usize::try_from(class)
                .ok()
                .and_then(|class| row.get_mut(class));
            if let Some(place) = place {
                *place += weight;
            }
        }
    }
    Targets::Soft { values, classes }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::InMemory;

    #[test]
    fn targets_have_the_shares_of_both_classes() {
        let Targets::Soft { values, classes } = mix_targets(&[0, 2, 2], 3, 0.75) else {
            panic!("not soft")
        };
        assert_eq!(classes, 3);
        assert_eq!(values, [0.75, 0.0, 0.25, 0.0, 0.0, 1.0, 0.25, 0.0, 0.75]);
    }

    #[test]
    fn cut_shares_are_those_of_the_pixels() {
        let mut pixels = vec![1_u8; 2 * 3 * 4 * 5];
        pixels[60..].fill(9);
        let share = cut_images(&mut pixels, 2, [4, 5], [1, 3, 2, 5]);
        assert_eq!(share, 0.7);
        let count = |part: &[u8], value| part.iter().filter(|&&x| x == value).count();
        assert_eq!((count(&pixels[..60], 1), count(&pixels[60..], 9)), (42, 42));
        assert_eq!(pixels[5 + 2], 9);
        assert_eq!(pixels[5 + 1], 1);
    }

    #[test]
    fn shares_follow_the_beta_distribution_and_both_kinds_occur() {
        let info = InMemory::images(1, 3, 8, 8, 2).info_owned();
        let mix = Mix::new(Some(0.8), Some(1.0), &info).unwrap();
        let mut stream = Stream::new(0, "mix", &[]);
        let draws: Vec<_> = (0..4000).map(|_| mix.draw(&mut stream)).collect();
        let cut = draws.iter().filter(|(cut, _)| *cut).count();
        assert!((1850..2150).contains(&cut), "{cut}");
        let variance = |cut: bool| {
            let shares: Vec<f64> = draws.iter().filter(|d| d.0 == cut).map(|d| d.1).collect();
            shares.iter().map(|x| (x - 0.5).powi(2)).sum::<f64>() / shares.len() as f64
        };
        assert!((variance(true) - 1.0 / 12.0).abs() < 0.01);
        assert!((variance(false) - 0.25 / 2.6).abs() < 0.01);
        // The mean area of a cut is less than a third of the image: halves of rectangles lie outside.
        let mut area = 0.0;
        for _ in 0..4000 {
            let [top, bottom, left, right] = rectangle(0.5, [32, 32], &mut stream);
            assert!(top <= bottom && bottom <= 32 && left <= right && right <= 32);
            area += ((bottom - top) * (right - left)) as f64 / 1024.0 / 4000.0;
        }
        assert!((0.25..0.4).contains(&area), "{area}");
    }

    #[test]
    fn numbers_cannot_be_mixed() {
        let regression = InMemory::regression(2, 1, 1).info_owned();
        assert!(Mix::new(Some(1.0), None, &regression).is_err());
        let images = InMemory::images(1, 3, 8, 8, 2).info_owned();
        for alpha in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(Mix::new(None, Some(alpha), &images).is_err());
        }
    }
}
