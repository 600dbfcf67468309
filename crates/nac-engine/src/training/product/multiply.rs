//! One matrix product in single precision, of operands of any size that lie in one of several layouts.

use pulp::{Simd, WithSimd};

use super::kernel::{ByColumn, ByRow, Column, Tile, height, width};
use crate::simd::prefetch::prefetch_to_second_level;

/// Steps of the summed dimension that are taken at once: that part of a panel stays in the first-level cache.
const DEPTH: usize = 128;

/// The left operand `a`, `[rows, depth]`.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Left<'a> {
    /// `a[i][k] = data[i · stride + k]`.
    Rows { data: &'a [f32], stride: usize },
    /// `a[i][k] = data[k · stride + i]`: the transpose of a row-major matrix.
    Columns { data: &'a [f32], stride: usize },
}

/// The right operand `b`, `[depth, columns]`.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Right<'a> {
    /// `b[k][j] = data[k · stride + j]`.
    Rows { data: &'a [f32], stride: usize },
    /// As [`Panels`](super::panels::Panels) packs it.
    Panels { data: &'a [f32] },
}

/// `c = [c +] [bias +] a b`.
///
/// Dispatch it on an architecture, or within a kernel through [`Simd::vectorize`]: there is one copy of the
/// code for each instruction set.
///
/// # Shapes
/// - a: `[rows, depth]`
/// - b: `[depth, columns]`
/// - c: `[rows, columns]`, row `i` starts at `i · c_stride`
/// - bias: `[columns]`
pub(crate) struct Multiply<'a> {
    pub(crate) a: Left<'a>,
    pub(crate) b: Right<'a>,
    pub(crate) c: &'a mut [f32],
    pub(crate) c_stride: usize,
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) depth: usize,
    /// Whether the product is added to what `c` holds.
    pub(crate) add: bool,
    pub(crate) bias: Option<&'a [f32]>,
}

/// A part of the columns, and of the summed dimension.
#[derive(Clone, Copy)]
struct Part {
    column: usize,
    columns: usize,
    step: usize,
    steps: usize,
}

impl WithSimd for Multiply<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        if self.depth == 0 {
            return self.start();
        }
        let outer = if self.is_deep() { DEPTH } else { self.depth };
        for first in (0..self.depth).step_by(outer) {
            let end = self.depth.min(first + outer);
            let mut column = 0;
            while column < self.columns {
                let columns = width::<S>(self.columns - column);
                for step in (first..end).step_by(DEPTH) {
                    let steps = DEPTH.min(end - step);
                    let part = Part {
                        column,
                        columns,
                        step,
                        steps,
                    };
                    self.part(simd, part);
                }
                column += columns;
            }
        }
    }
}

impl<'a> Multiply<'a> {
    /// Whether the left operand is too wide for the second-level cache: it is read once, in parts.
    #[inline(always)]
    fn is_deep(&self) -> bool {
        self.depth > self.columns
    }

    /// The result of an empty sum.
    fn start(&mut self) {
        for row in self.c.chunks_mut(self.c_stride).take(self.rows) {
            for (j, c) in row[..self.columns].iter_mut().enumerate() {
                let before = if self.add { *c } else { 0.0 };
                *c = before + self.bias.map_or(0.0, |bias| bias[j]);
            }
        }
    }

    /// All rows of one part.
    #[inline(always)]
    fn part<S: Simd>(&mut self, simd: S, part: Part) {
        let (mut row, mut next) = (0, self.after::<S>(part));
        // What the next part reads is fetched meanwhile, a piece with each tile.
        let piece = next
            .len()
            .div_ceil(self.rows.div_ceil(6))
            .next_multiple_of(16);
        while row < self.rows {
            let rows = height(self.rows - row);
            let (now, later) = next.split_at(piece.min(next.len()));
            prefetch_to_second_level(now);
            next = later;
            match rows {
                6 => self.tile::<S, 6>(simd, row, part),
                4 => self.tile::<S, 4>(simd, row, part),
                _ => self.tile::<S, 1>(simd, row, part),
            }
            row += rows;
        }
    }

    /// What the part after this one reads of packed panels.
    #[inline(always)]
    fn after<S: Simd>(&self, part: Part) -> &'a [f32] {
        let Right::Panels { data } = self.b else {
            return &[];
        };
        let (_, stride) = self.right::<S>(part);
        let start = if self.is_deep() {
            (part.column + part.columns) * self.depth + part.step * stride
        } else {
            part.column * self.depth + (part.step + part.steps) * stride
        };
        let rest = data.get(start..).unwrap_or_default();
        &rest[..rest.len().min(part.steps * stride)]
    }

    #[inline(always)]
    fn tile<S: Simd, const R: usize>(&mut self, simd: S, row: usize, part: Part) {
        match self.a {
            Left::Rows { data, stride } => {
                let start = row * stride + part.step;
                let a = ByRow(std::array::from_fn(|i| {
                    &data[start + i * stride..][..part.steps]
                }));
                self.run::<S, R>(simd, &a, row, part);
            }
            Left::Columns { data, stride } => {
                let data = &data[part.step * stride + row..];
                self.run::<S, R>(simd, &ByColumn { data, stride }, row, part);
            }
        }
    }

    #[inline(always)]
    fn run<S: Simd, const R: usize>(
        &mut self,
        simd: S,
        a: &impl Column<R>,
        row: usize,
        part: Part,
    ) {
        let (b, b_stride) = self.right::<S>(part);
        let tile = Tile {
            b,
            b_stride,
            depth: part.steps,
            c: &mut self.c[row * self.c_stride + part.column..],
            c_stride: self.c_stride,
            columns: part.columns,
            add: self.add || part.step > 0,
            bias: self
                .bias
                .filter(|_| part.step == 0)
                .map(|bias| &bias[part.column..]),
        };
        tile.run(simd, a);
    }

    /// The right operand of a part, and the distance of its rows.
    #[inline(always)]
    fn right<S: Simd>(&self, part: Part) -> (&'a [f32], usize) {
        match self.b {
            Right::Rows { data, stride } => (&data[part.step * stride + part.column..], stride),
            Right::Panels { data } => {
                let stride = part.columns.next_multiple_of(S::F32_LANES);
                (
                    &data[part.column * self.depth + part.step * stride..],
                    stride,
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::reference::{assert_close, numbers, product};
    use super::*;

    fn transposed(rows: usize, columns: usize, values: &[f32]) -> Vec<f32> {
        let cells = (0..rows * columns).map(|i| values[i % rows * columns + i / rows]);
        cells.collect()
    }

    /// All layouts of the left operand, with rows of `b` and `c` that have `slack` numbers between them.
    fn check((rows, columns, depth): (usize, usize, usize), slack: usize, add: bool, bias: bool) {
        let a = numbers(rows * depth, 1);
        let b_stride = columns + slack;
        let b = numbers((depth * b_stride).saturating_sub(slack), 2);
        let before = numbers(rows * b_stride, 3);
        let offsets = numbers(columns, 4);
        let start = |i: usize, j: usize| {
            f64::from(u8::from(add)) * f64::from(before[i * b_stride + j])
                + f64::from(u8::from(bias)) * f64::from(offsets[j])
        };
        let mut expected = product(
            (rows, columns, depth),
            |i, k| a[i * depth + k],
            |k, j| b[k * b_stride + j],
        );
        for (index, (value, magnitude)) in expected.iter_mut().enumerate() {
            *value += start(index / columns, index % columns);
            *magnitude += 2.0;
        }
        let columns_of_a = transposed(rows, depth, &a);
        let lefts = [
            Left::Rows {
                data: &a,
                stride: depth,
            },
            Left::Columns {
                data: &columns_of_a,
                stride: rows,
            },
        ];
        for a in lefts {
            let mut c = before.clone();
            pulp::Arch::new().dispatch(Multiply {
                a,
                b: Right::Rows {
                    data: &b,
                    stride: b_stride,
                },
                c: &mut c,
                c_stride: b_stride,
                rows,
                columns,
                depth,
                add,
                bias: bias.then_some(&offsets[..]),
            });
            let found: Vec<f32> = c
                .chunks(b_stride)
                .flat_map(|row| row[..columns].iter().copied())
                .collect();
            assert_close(&found, &expected, 1e-6);
            for (row, before) in c.chunks(b_stride).zip(before.chunks(b_stride)) {
                assert_eq!(row[columns..], before[columns..], "beside the result");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]
        #[test]
        fn agrees_with_the_product_in_double_precision(
            rows in 1_usize..21, columns in 1_usize..140, depth in 0_usize..300, slack in 0_usize..3,
            add: bool, bias: bool,
        ) {
            check((rows, columns, depth), slack, add, bias);
        }
    }

    #[test]
    fn every_height_and_width_of_a_tile() {
        for rows in 1..=13 {
            for columns in [1, 15, 16, 17, 31, 32, 33, 48, 63, 64, 65, 128] {
                check((rows, columns, 5), 1, true, true);
            }
        }
    }
}
