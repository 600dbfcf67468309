//! Packs a left operand into strips: the rows of one tile after the other, step by step of the summed dimension.
//!
//! A strip of `R` rows holds `a[first][k], …, a[first + R − 1][k]` for each `k` in turn, so that a tile reads it from front
//! to back. It starts at `first · depth`; how high strips are, [`height`] says.

use pulp::{Simd, WithSimd};

use super::kernel::height;
use super::panels::Source;

/// Packs `a[i][k]`; the source is seen as a right operand `b[k][i]`.
pub(super) struct Strips<'a> {
    pub(super) source: Source<'a>,
    pub(super) rows: usize,
    pub(super) depth: usize,
    /// `rows · depth` numbers.
    pub(super) strips: &'a mut [f32],
}

impl WithSimd for Strips<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let (mut first, mut rest) = (0, self.strips);
        while first < self.rows {
            let rows = height(self.rows - first);
            let (strip, others) = rest.split_at_mut(rows * self.depth);
            match rows {
                6 => pack::<6>(self.source, first, self.depth, strip),
                4 => pack::<4>(self.source, first, self.depth, strip),
                _ => pack::<1>(self.source, first, self.depth, strip),
            }
            (first, rest) = (first + rows, others);
        }
    }
}

/// One strip.
#[inline(always)]
fn pack<const R: usize>(source: Source<'_>, first: usize, depth: usize, strip: &mut [f32]) {
    let strip = &mut strip.as_chunks_mut::<R>().0[..depth];
    match source {
        Source::Rows { data, stride } => {
            for (to, from) in strip.iter_mut().zip(data[first..].chunks(stride)) {
                to.copy_from_slice(&from[..R]);
            }
        }
        Source::Columns { data, stride } => {
            let rows: [&[f32]; R] =
                std::array::from_fn(|i| &data[(first + i) * stride..][..depth]);
            for (k, to) in strip.iter_mut().enumerate() {
                *to = std::array::from_fn(|i| rows[i][k]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::training::product::reference::numbers;

    #[test]
    fn every_number_is_in_its_strip() {
        for (rows, depth) in [(1, 3), (6, 5), (13, 7), (16, 130)] {
            let a = numbers(rows * depth, 1);
            let flipped: Vec<f32> = (0..rows * depth).map(|i| a[i % rows * depth + i / rows]).collect();
            let sources = [
                Source::Columns { data: &a, stride: depth },
                Source::Rows { data: &flipped, stride: rows },
            ];
            for source in sources {
                let mut strips = vec![f32::NAN; rows * depth];
                pulp::Arch::new().dispatch(Strips { source, rows, depth, strips: &mut strips });
                let mut first = 0;
                while first < rows {
                    let height = height(rows - first);
                    for (k, i) in (0..depth).flat_map(|k| (0..height).map(move |i| (k, i))) {
                        let found = strips[first * depth + k * height + i];
                        assert_eq!(found, a[(first + i) * depth + k], "row {}, step {k}", first + i);
                    }
                    first += height;
                }
            }
        }
    }
}
