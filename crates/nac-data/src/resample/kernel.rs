//! Weights along one axis: for each output pixel those of a run of source pixels.

use std::ops::Range;

use crate::ResizeFilter;

/// Binary digits of a weight after the point: sums of a byte times weights fit 32 bits.
pub(super) const PRECISION: u32 = 32 - 8 - 2;

/// What a pixel is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Filter {
    /// The mean of the pixels whose middles are within it; the nearest one when enlarging.
    Box,
    /// Linear interpolation.
    Bilinear,
    /// Keys' cubic with a = −0.5.
    Bicubic,
}

impl From<ResizeFilter> for Filter {
    fn from(filter: ResizeFilter) -> Self {
        match filter {
            ResizeFilter::Bilinear => Self::Bilinear,
            ResizeFilter::Bicubic => Self::Bicubic,
        }
    }
}

/// Source pixels of one output pixel.
struct Run {
    source: Range<usize>,
    /// Where their weights begin.
    at: usize,
}

/// Weights for the pixels of one axis.
pub(super) struct Kernel {
    runs: Vec<Run>,
    weights: Vec<i32>,
}

impl Kernel {
    /// The output pixels `kept` of `whole` over `length` source pixels, at least one.
    pub(super) fn new(length: usize, whole: usize, kept: Range<usize>, filter: Filter) -> Self {
        let scale = length as f64 / whole as f64;
        let stretch = scale.max(1.0);
        let (shape, reach): (fn(f64) -> f64, f64) = match filter {
            Filter::Box => (flat, 0.5),
            Filter::Bilinear => (triangle, 1.0),
            Filter::Bicubic => (cubic, 2.0),
        };
        // PIL multiplies by the inverse: it matters where a pixel's middle is at the border of a box.
        let (reach, shrink) = (reach * stretch, 1.0 / stretch);
        let (mut runs, mut weights) = (Vec::with_capacity(kept.len()), Vec::new());
        let mut raw = Vec::new();
        for index in kept {
            let center = (index as f64 + 0.5) * scale;
            let first = ((center - reach + 0.5).max(0.0) as usize).min(length - 1);
            let last = ((center + reach + 0.5).max(0.0) as usize).clamp(first + 1, length);
            raw.clear();
            raw.extend((first..last).map(|x| shape((x as f64 - center + 0.5) * shrink)));
            let sum: f64 = raw.iter().sum();
            let one = f64::from(1_u32 << PRECISION);
            runs.push(Run {
                source: first..last,
                at: weights.len(),
            });
            weights.extend(raw.iter().map(|w| (w / sum * one).round() as i32));
        }
        Self { runs, weights }
    }

    /// Number of output pixels.
    pub(super) fn len(&self) -> usize {
        self.runs.len()
    }

    /// The source pixels that any output pixel needs.
    pub(super) fn span(&self) -> Range<usize> {
        let starts = self.runs.iter().map(|run| run.source.start);
        let ends = self.runs.iter().map(|run| run.source.end);
        starts.min().unwrap_or(0)..ends.max().unwrap_or(0)
    }

    /// For each output pixel: the first source pixel, and the weights from there on.
    #[inline(always)]
    pub(super) fn runs(&self) -> impl Iterator<Item = (usize, &[i32])> {
        self.runs.iter().map(|Run { source, at }| {
            let weights = self.weights.get(*at..*at + source.len());
            (source.start, weights.unwrap_or_default())
        })
    }
}

fn flat(x: f64) -> f64 {
    f64::from(u8::from(-0.5 < x && x <= 0.5))
}

fn triangle(x: f64) -> f64 {
    (1.0 - x.abs()).max(0.0)
}

fn cubic(x: f64) -> f64 {
    let x = x.abs();
    if x < 1.0 {
        (1.5 * x - 2.5) * x * x + 1.0
    } else if x < 2.0 {
        ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
    } else {
        0.0
    }
}
