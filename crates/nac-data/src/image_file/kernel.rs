//! Resampling along one axis: for each output pixel, weights of a run of source pixels.
//!
//! The arithmetic is that of PIL, so that results agree: filters widened by the ratio when shrinking, weights that add
//! up to 1 as integers with 22 binary digits, along rows first, and bytes between the two passes (PIL before version 13,
//! which takes the columns first for some sizes).

use std::ops::Range;

use super::Picture;
use crate::ResizeFilter;

/// Binary digits of a weight after the point: sums of a byte times weights fit 32 bits.
const PRECISION: u32 = 32 - 8 - 2;

/// Weights for the pixels of one axis.
pub(super) struct Kernel {
    /// Source pixels of each output pixel, and where their weights begin.
    runs: Vec<(Range<usize>, usize)>,
    weights: Vec<i32>,
}

impl Kernel {
    /// `count` output pixels over `length` source pixels from `start`, of `size` in all.
    pub(super) fn new(
        size: usize,
        start: f64,
        length: f64,
        count: usize,
        filter: ResizeFilter,
    ) -> Self {
        let scale = length / count as f64;
        let stretch = scale.max(1.0);
        let (shape, reach): (fn(f64) -> f64, f64) = match filter {
            ResizeFilter::Bilinear => (triangle, 1.0),
            ResizeFilter::Bicubic => (cubic, 2.0),
        };
        let reach = reach * stretch;
        let (mut runs, mut weights) = (Vec::with_capacity(count), Vec::new());
        for index in 0..count {
            let center = start + (index as f64 + 0.5) * scale;
            let first = ((center - reach + 0.5).max(0.0) as usize).min(size - 1);
            let last = ((center + reach + 0.5).max(0.0) as usize).clamp(first + 1, size);
            let raw: Vec<f64> = (first..last)
                .map(|x| shape((x as f64 - center + 0.5) / stretch))
                .collect();
            let sum: f64 = raw.iter().sum();
            runs.push((first..last, weights.len()));
            let one = f64::from(1_u32 << PRECISION);
            let scaled = raw.iter().map(|w| (w / sum * one).round() as i32);
            weights.extend(scaled);
        }
        Self { runs, weights }
    }

    /// The source pixels that any output pixel needs.
    pub(super) fn span(&self) -> Range<usize> {
        let starts = self.runs.iter().map(|(run, _)| run.start);
        let ends = self.runs.iter().map(|(run, _)| run.end);
        starts.min().unwrap_or(0)..ends.max().unwrap_or(0)
    }

    fn of<'a>(&'a self, (run, at): &(Range<usize>, usize)) -> &'a [i32] {
        self.weights.get(*at..at + run.len()).unwrap_or_default()
    }

    /// The rows `used` of an image, resampled along the row.
    pub(super) fn rows(&self, picture: &Picture, used: Range<usize>) -> Vec<u8> {
        let rows = picture.pixels().chunks_exact(picture.width() * 3);
        let mut out = Vec::with_capacity(used.len() * self.runs.len() * 3);
        for row in rows.skip(used.start).take(used.len()) {
            for run in &self.runs {
                let pixels = row.get(run.0.start * 3..run.0.end * 3).unwrap_or_default();
                let mut sums = [1_i32 << (PRECISION - 1); 3];
                for (pixel, &weight) in pixels.chunks_exact(3).zip(self.of(run)) {
                    for (sum, &value) in sums.iter_mut().zip(pixel) {
                        *sum += i32::from(value) * weight;
                    }
                }
                out.extend(sums.map(byte));
            }
        }
        out
    }

    /// Resamples rows of `width` bytes, of which the first is number `offset`, across the rows.
    pub(super) fn columns(&self, rows: &[u8], width: usize, offset: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.runs.len() * width);
        let mut sums = vec![0_i32; width];
        for run in &self.runs {
            sums.fill(1 << (PRECISION - 1));
            let needed = rows.chunks_exact(width).skip(run.0.start - offset);
            for (row, &weight) in needed.zip(self.of(run)) {
                for (sum, &value) in sums.iter_mut().zip(row) {
                    *sum += i32::from(value) * weight;
                }
            }
            out.extend(sums.iter().copied().map(byte));
        }
        out
    }
}

fn byte(sum: i32) -> u8 {
    (sum >> PRECISION).clamp(0, 255) as u8
}

fn triangle(x: f64) -> f64 {
    (1.0 - x.abs()).max(0.0)
}

/// Keys' cubic with a = −0.5.
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
