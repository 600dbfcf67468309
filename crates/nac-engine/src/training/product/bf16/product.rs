//! A product of packed bfloat16 pairs, block by block.

use pulp::{Simd, WithSimd};

use super::BLOCK;
use super::pack::row_pairs;
use super::unit::Unit;

/// `c = [c +] [bias +] a b`.
///
/// # Shapes
/// - a: `[rows, depth]` as [`PackLeft`](super::PackLeft) packs it
/// - b: `[depth, columns]` in panels as [`PackPanel`](super::PackPanel) packs them
/// - a and b have at least one step of `depth`
/// - c: `[rows, columns]`, row `i` starts at `i · c_stride`
pub(in super::super) struct PairProduct<'a> {
    pub(in super::super) unit: Unit,
    pub(in super::super) a: &'a [u32],
    pub(in super::super) b: &'a [u32],
    pub(in super::super) c: &'a mut [f32],
    pub(in super::super) c_stride: usize,
    pub(in super::super) rows: usize,
    pub(in super::super) columns: usize,
    pub(in super::super) depth: usize,
    pub(in super::super) add: bool,
    pub(in super::super) bias: Option<&'a [f32]>,
}

impl WithSimd for PairProduct<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let pairs = row_pairs(self.depth);
        let unit = self.unit.enter();
        for column in (0..self.columns).step_by(BLOCK) {
            let columns = BLOCK.min(self.columns - column);
            let mut bias = [0.0; BLOCK];
            if let Some(all) = self.bias {
                bias[..columns].copy_from_slice(&all[column..column + columns]);
            }
            let start = (!self.add).then_some(&bias);
            for row in (0..self.rows).step_by(BLOCK) {
                let rows = BLOCK.min(self.rows - row);
                let operands = (&self.a[row * pairs..], &self.b[column * pairs..], pairs);
                let c = &mut self.c[row * self.c_stride + column..];
                if self.add && self.bias.is_some() {
                    for c in c.chunks_mut(self.c_stride).take(rows) {
                        c[..columns]
                            .iter_mut()
                            .zip(&bias)
                            .for_each(|(c, bias)| *c += bias);
                    }
                }
                if (rows, columns) == (BLOCK, BLOCK) {
                    unit.block(operands, start, (c, self.c_stride));
                } else {
                    let mut whole = [[0.0; BLOCK]; BLOCK];
                    for (to, c) in whole.iter_mut().zip(c.chunks(self.c_stride)).take(rows) {
                        to[..columns].copy_from_slice(&c[..columns]);
                    }
                    unit.block(operands, start, (whole.as_flattened_mut(), BLOCK));
                    for (from, c) in whole.iter().zip(c.chunks_mut(self.c_stride)).take(rows) {
                        c[..columns].copy_from_slice(&from[..columns]);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::pack::{PackLeft, PackPanel, panel_len, rows_len};
    use super::*;
    use crate::training::product::panels::Source;
    use crate::training::product::reference::{assert_close, numbers, product, rounded};

    /// Every unit of this processor, with both layouts of both operands.
    fn check((rows, columns, depth): (usize, usize, usize), add: bool) {
        let arch = pulp::Arch::new();
        let (a, b, bias) = (
            numbers(rows * depth, 1),
            numbers(depth * columns, 2),
            numbers(columns, 3),
        );
        let flip = |from: &[f32], rows: usize, columns: usize| -> Vec<f32> {
            (0..rows * columns)
                .map(|i| from[i % rows * columns + i / rows])
                .collect()
        };
        let (a_flipped, b_flipped) = (flip(&a, rows, depth), flip(&b, depth, columns));
        let (a_close, b_close) = (rounded(&a), rounded(&b));
        let mut expected = product(
            (rows, columns, depth),
            |i, k| a_close[i * depth + k],
            |k, j| b_close[k * columns + j],
        );
        for (index, (value, magnitude)) in expected.iter_mut().enumerate() {
            *value += f64::from(bias[index % columns]) + if add { 2.0 } else { 0.0 };
            *magnitude += 3.0;
        }
        let lefts = [
            Source::Columns {
                data: &a,
                stride: depth,
            },
            Source::Rows {
                data: &a_flipped,
                stride: rows,
            },
        ];
        let rights = [
            Source::Rows {
                data: &b,
                stride: columns,
            },
            Source::Columns {
                data: &b_flipped,
                stride: depth,
            },
        ];
        for (unit, left, right) in Unit::all().into_iter().flat_map(|unit| {
            lefts
                .into_iter()
                .flat_map(move |l| rights.into_iter().map(move |r| (unit, l, r)))
        }) {
            let mut pairs = vec![0x7fc0_7fc0; rows_len(rows, depth)];
            arch.dispatch(PackLeft {
                source: left,
                rows,
                depth,
                pairs: &mut pairs,
            });
            let mut panels = vec![0x7fc0_7fc0; panel_len(depth) * columns.div_ceil(BLOCK)];
            for (index, panel) in panels.chunks_mut(panel_len(depth)).enumerate() {
                arch.dispatch(PackPanel {
                    source: right,
                    depth,
                    columns,
                    first: index * BLOCK,
                    panel,
                });
            }
            let mut c = vec![2.0; rows * columns];
            arch.dispatch(PairProduct {
                unit,
                a: &pairs,
                b: &panels,
                c: &mut c,
                c_stride: columns,
                rows,
                columns,
                depth,
                add,
                bias: Some(&bias),
            });
            assert_close(&c, &expected, 1e-6);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn agrees_with_the_product_of_rounded_operands(
            rows in 1_usize..80, columns in 1_usize..80, depth in 1_usize..150, add: bool,
        ) {
            check((rows, columns, depth), add);
        }
    }

    #[test]
    fn whole_blocks() {
        check((64, 96, 320), false);
        check((32, 32, 32), true);
    }
}
