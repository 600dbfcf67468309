//! [`RandomResizedCrop`]: a random window of the image, resized to the whole.

use super::resized_crop::{Window, resized_crop};
use super::{Draws, Transform, image};
use crate::random::Stream;
use crate::{DataError, DatasetInfo, Example, ResizeFilter};

/// Cuts a window of random area and proportions and resizes it to the size of the data set's images, as torchvision's
/// `RandomResizedCrop` does with antialiasing.
///
/// Of data sets of files it gets the images as they are in the files, so that large photographs lose nothing first.
#[derive(Clone, Copy, Debug)]
pub struct RandomResizedCrop {
    size: [usize; 2],
    scale: [f64; 2],
    ratio: [f64; 2],
    filter: ResizeFilter,
}

impl RandomResizedCrop {
    /// Proportions (width / height) of a window: 3/4 to 4/3, torchvision's default.
    pub const RATIO: [f64; 2] = [3.0 / 4.0, 4.0 / 3.0];

    /// Windows with a share of the area between those of `scale` and width / height between those of `ratio`, resized
    /// to `size = [height, width]`.
    ///
    /// # Errors
    /// [`DataError::Config`] unless `0 < scale[0] <= scale[1] <= 1` and `0 < ratio[0] <= ratio[1]`.
    pub fn new(
        size: [usize; 2],
        scale: [f64; 2],
        ratio: [f64; 2],
        filter: ResizeFilter,
    ) -> Result<Self, DataError> {
        let [least, most] = scale;
        let [narrow, wide] = ratio;
        let ordered = 0.0 < least && least <= most && most <= 1.0;
        if !(ordered && 0.0 < narrow && narrow <= wide && wide.is_finite()) {
            return Err(DataError::Config {
                field: "data.augment".into(),
                reason: format!(
                    "random_resized_crop: areas {least} to {most} and proportions {narrow} to {wide} must be positive \
                     and in order, areas at most 1"
                ),
            });
        }
        Ok(Self {
            size,
            scale,
            ratio,
            filter,
        })
    }

    /// The window of an image of `height` and `width`: ten tries, then the largest central one of allowed proportions.
    fn window(&self, stream: &mut Stream, [height, width]: [usize; 2]) -> Window {
        let area = (height * width) as f64;
        let [narrow, wide] = self.ratio;
        for _ in 0..10 {
            let target = area * stream.between(self.scale[0], self.scale[1]);
            let ratio = stream.between(narrow.ln(), wide.ln()).exp();
            let w = (target * ratio).sqrt().round_ties_even() as usize;
            let h = (target / ratio).sqrt().round_ties_even() as usize;
            if (1..=width).contains(&w) && (1..=height).contains(&h) {
                let top = stream.below((height - h + 1) as u64) as usize;
                let left = stream.below((width - w + 1) as u64) as usize;
                return Window {
                    top,
                    left,
                    height: h,
                    width: w,
                };
            }
        }
        let ratio = width as f64 / height as f64;
        let (h, w) = if ratio < narrow {
            ((width as f64 / narrow).round_ties_even() as usize, width)
        } else if ratio > wide {
            (height, (height as f64 * wide).round_ties_even() as usize)
        } else {
            (height, width)
        };
        let (h, w) = (h.clamp(1, height), w.clamp(1, width));
        Window {
            top: (height - h) / 2,
            left: (width - w) / 2,
            height: h,
            width: w,
        }
    }
}

impl Transform for RandomResizedCrop {
    fn name(&self) -> &str {
        "random_resized_crop"
    }

    fn check(&self, info: &DatasetInfo) -> Result<(), DataError> {
        image::check(self.name(), info)
    }

    fn apply(&self, example: &mut Example, draws: &Draws) -> Result<(), DataError> {
        let mut stream = draws.stream(self.name());
        image::replace_each(self.name(), example, |shape, pixels| {
            let window = self.window(&mut stream, [shape[1], shape[2]]);
            resized_crop(shape, pixels, window, self.size, self.filter)
        })
    }

    fn takes_originals(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_have_the_areas_and_proportions_asked_for() {
        let crop = RandomResizedCrop::new(
            [8, 8],
            [0.08, 1.0],
            RandomResizedCrop::RATIO,
            ResizeFilter::Bilinear,
        )
        .unwrap();
        let mut stream = Stream::new(0, "windows", &[]);
        let (mut areas, mut tops) = (0.0, 0);
        for _ in 0..4000 {
            let window = crop.window(&mut stream, [300, 400]);
            assert!(window.top + window.height <= 300 && window.left + window.width <= 400);
            let area = (window.height * window.width) as f64 / 120_000.0;
            let ratio = window.width as f64 / window.height as f64;
            assert!((0.079..=1.0).contains(&area) && (0.73..1.36).contains(&ratio));
            areas += area / 4000.0;
            tops += usize::from(window.top > 0);
        }
        // Uniform on 0.08 to 1 has the mean 0.54; windows too wide or high are drawn again, which favours small ones.
        assert!((0.44..0.54).contains(&areas), "{areas}");
        assert!(tops > 3000, "{tops}");
    }

    #[test]
    fn thin_images_give_a_central_window() {
        let crop = RandomResizedCrop::new(
            [8, 8],
            [0.9, 1.0],
            RandomResizedCrop::RATIO,
            ResizeFilter::Bilinear,
        )
        .unwrap();
        let window = crop.window(&mut Stream::new(0, "thin", &[]), [10, 100]);
        assert_eq!(
            window,
            Window {
                top: 0,
                left: 43,
                height: 10,
                width: 13
            }
        );
        let window = crop.window(&mut Stream::new(0, "thin", &[]), [100, 9]);
        assert_eq!(
            window,
            Window {
                top: 44,
                left: 0,
                height: 12,
                width: 9
            }
        );
        let wrong = [[0.0, 1.0], [0.5, 0.4], [0.5, 1.5], [f64::NAN, 1.0]];
        for scale in wrong {
            let ratio = RandomResizedCrop::RATIO;
            assert!(RandomResizedCrop::new([8, 8], scale, ratio, ResizeFilter::Bilinear).is_err());
        }
    }
}
