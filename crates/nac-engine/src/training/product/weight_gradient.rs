//! The gradient of a weight: the product of two matrices over their common rows.

use super::bf16::{BLOCK, PackLeft, PackPanel, PairProduct, Unit, panel_len, rows_len};
use super::multiply::{Left, Multiply, Right};
use super::panels::{Panels, Source, packed_len};
use super::round::round_all;
use crate::training::compute::{Buffer, Chunks, Compute, TrainingPrecision};

/// Rows that are taken at once: their part of `x` is packed, and panels of it stay in the first-level cache.
const ROWS: usize = 128;

/// The same for bfloat16 pairs, whose sums cannot stay in registers from one part to the next.
const PAIR_ROWS: usize = 2048;

/// Widths of `x` up to this are read where they are.
const NARROW: usize = 128;

/// `dw = dyᵀ x`, in parallel over parts of the outputs; each number is summed over rows in their order.
///
/// # Shapes
/// - dy: `[rows, outputs]`
/// - x: `[rows, inputs]`
/// - dw: `[outputs, inputs]`
pub(crate) fn weight_gradient(
    compute: &Compute,
    dy: &[f32],
    x: &[f32],
    (rows, outputs, inputs): (usize, usize, usize),
    dw: &mut [f32],
) {
    debug_assert_eq!((dy.len(), x.len()), (rows * outputs, rows * inputs));
    debug_assert_eq!(dw.len(), outputs * inputs);
    if rows == 0 {
        dw.fill(0.0);
        return;
    }
    let mixed = compute.precision() == TrainingPrecision::Mixed;
    let unit = if mixed { Unit::detect() } else { None };
    let height = task_height(outputs, unit.is_some());
    let parts = Chunks::new(dw, height * inputs);
    compute.each(outputs.div_ceil(height), parts, |index, part, scratch| {
        let dw = part.into_slice();
        let task = Task {
            arch: compute.arch(),
            dy: &dy[index * height..],
            dy_stride: outputs,
            outputs: dw.len() / inputs,
            x,
            inputs,
            rows,
        };
        match unit {
            Some(unit) => task.pairs(unit, dw, &mut scratch.product),
            None => task.single(mixed, dw, &mut scratch.product),
        }
    });
}

/// Outputs of one task: about a quarter of them, whole tiles, and enough that packing `x` for each task costs little.
fn task_height(outputs: usize, pairs: bool) -> usize {
    let (tile, least, most) = if pairs {
        (BLOCK, 32, 192)
    } else {
        (12, 24, 96)
    };
    outputs
        .div_ceil(4)
        .next_multiple_of(tile)
        .clamp(least, most)
}

/// Some outputs of a weight.
struct Task<'a> {
    arch: pulp::Arch,
    /// Row `r` starts at `r · dy_stride`.
    dy: &'a [f32],
    dy_stride: usize,
    outputs: usize,
    x: &'a [f32],
    inputs: usize,
    rows: usize,
}

impl Task<'_> {
    /// In single precision, after rounding to bfloat16 if so asked.
    fn single(&self, round: bool, dw: &mut [f32], scratch: &mut Buffer) {
        let Self {
            outputs, inputs, ..
        } = *self;
        for first in (0..self.rows).step_by(ROWS) {
            let rows = ROWS.min(self.rows - first);
            let lens = [rows * outputs, packed_len(self.arch, rows, inputs)];
            let [dy, panels] = scratch.parts(lens);
            let from = self.dy[first * self.dy_stride..].chunks(self.dy_stride);
            for (to, from) in dy.chunks_exact_mut(outputs).zip(from) {
                to.copy_from_slice(&from[..outputs]);
            }
            let x = &self.x[first * inputs..];
            let b = if round || inputs > NARROW {
                self.arch.dispatch(Panels {
                    source: Source::Rows {
                        data: x,
                        stride: inputs,
                    },
                    depth: rows,
                    columns: inputs,
                    first: 0,
                    round,
                    panels,
                });
                Right::Panels { data: panels }
            } else {
                Right::Rows {
                    data: x,
                    stride: inputs,
                }
            };
            if round {
                round_all(dy);
            }
            self.arch.dispatch(Multiply {
                a: Left::Columns {
                    data: dy,
                    stride: outputs,
                },
                b,
                c: dw,
                c_stride: inputs,
                rows: outputs,
                columns: inputs,
                depth: rows,
                add: first > 0,
                bias: None,
            });
        }
    }

    /// By bfloat16 pairs of rows.
    fn pairs(&self, unit: Unit, dw: &mut [f32], scratch: &mut Buffer) {
        let Self {
            outputs, inputs, ..
        } = *self;
        for first in (0..self.rows).step_by(PAIR_ROWS) {
            let rows = PAIR_ROWS.min(self.rows - first);
            let lens = [rows_len(outputs, rows), panel_len(rows)];
            let [a, b] = scratch.parts(lens).map(bytemuck::cast_slice_mut);
            self.arch.dispatch(PackLeft {
                source: Source::Rows {
                    data: &self.dy[first * self.dy_stride..],
                    stride: self.dy_stride,
                },
                rows: outputs,
                depth: rows,
                pairs: a,
            });
            for column in (0..inputs).step_by(BLOCK) {
                self.arch.dispatch(PackPanel {
                    source: Source::Rows {
                        data: &self.x[first * inputs..],
                        stride: inputs,
                    },
                    depth: rows,
                    columns: inputs,
                    first: column,
                    panel: b,
                });
                self.arch.dispatch(PairProduct {
                    unit,
                    a,
                    b,
                    c: &mut dw[column..],
                    c_stride: inputs,
                    rows: outputs,
                    columns: BLOCK.min(inputs - column),
                    depth: rows,
                    add: first > 0,
                    bias: None,
                });
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::super::reference::{assert_close, numbers, product, rounded};
    use super::*;

    fn check(precision: TrainingPrecision, (rows, outputs, inputs): (usize, usize, usize)) {
        let (dy, x) = (numbers(rows * outputs, 1), numbers(rows * inputs, 2));
        let (a, b) = match precision {
            TrainingPrecision::F32 => (dy.clone(), x.clone()),
            TrainingPrecision::Mixed => (rounded(&dy), rounded(&x)),
        };
        let expected = product(
            (outputs, inputs, rows),
            |i, k| a[k * outputs + i],
            |k, j| b[k * inputs + j],
        );
        let mut first = None;
        for threads in [1, 3] {
            let compute = Compute::new(threads, precision).unwrap();
            let mut dw = vec![f32::NAN; outputs * inputs];
            weight_gradient(&compute, &dy, &x, (rows, outputs, inputs), &mut dw);
            assert_close(&dw, &expected, 1e-6);
            let first = first.get_or_insert_with(|| dw.clone());
            assert_eq!(*first, dw, "the same bits with any number of threads");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn agrees_with_double_precision_of_the_same_operands(
            rows in 0_usize..150, outputs in 1_usize..150, inputs in 1_usize..150, mixed: bool,
        ) {
            let precision = if mixed { TrainingPrecision::Mixed } else { TrainingPrecision::F32 };
            check(precision, (rows, outputs, inputs));
        }
    }

    #[test]
    fn many_rows() {
        for precision in [TrainingPrecision::F32, TrainingPrecision::Mixed] {
            check(precision, (1100, 65, 66));
        }
    }
}
