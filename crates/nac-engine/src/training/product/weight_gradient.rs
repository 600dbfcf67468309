//! The gradient of a weight: the product of two matrices over their common rows.

use super::bf16::{BLOCK, PackLeft, PackPanel, PairProduct, Unit, panel_len, rows_len};
use super::multiply::{Left, Multiply, Right};
use super::panels::{Panels, Source, layout, packed_len};
use super::round::round_all;
use crate::training::compute::{Buffer, Chunks, Compute, TrainingPrecision};

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
    let product = Product {
        arch: compute.arch(),
        dy,
        x,
        sizes: (rows, outputs, inputs),
    };
    let mixed = compute.precision() == TrainingPrecision::Mixed;
    let unit = if mixed { Unit::detect() } else { None };
    compute.with_operand(|operand| match unit {
        Some(unit) => product.pairs(compute, unit, dw, operand),
        None => product.single(compute, mixed, dw, operand),
    });
}

/// Outputs of one task: a part of them, in whole tiles, within bounds between which a task reads `x` often enough
/// and finds its part of `dy` in the cache.
fn task_height(
    outputs: usize,
    (parts, tile): (usize, usize),
    (least, most): (usize, usize),
) -> usize {
    let height = outputs.div_ceil(parts).next_multiple_of(tile);
    height.clamp(least, most)
}

/// The operands.
#[derive(Clone, Copy)]
struct Product<'a> {
    arch: pulp::Arch,
    dy: &'a [f32],
    x: &'a [f32],
    /// Rows, outputs, inputs.
    sizes: (usize, usize, usize),
}

impl<'a> Product<'a> {
    /// In single precision, after rounding to bfloat16 if so asked.
    fn single(&self, compute: &Compute, round: bool, dw: &mut [f32], operand: &mut Buffer) {
        let (rows, outputs, inputs) = self.sizes;
        let right = if round || inputs > NARROW {
            let panels = operand.take(packed_len(self.arch, rows, inputs));
            self.panels(compute, round, panels);
            Right::Panels { data: panels }
        } else {
            Right::Rows {
                data: self.x,
                stride: inputs,
            }
        };
        let height = task_height(outputs, (4, 12), (24, 96));
        let parts = Chunks::new(dw, height * inputs);
        compute.each(outputs.div_ceil(height), parts, |index, part, scratch| {
            let dw = part.into_slice();
            let own = dw.len() / inputs;
            let dy = scratch.product.take(rows * own);
            let from = self.dy[index * height..].chunks(outputs);
            for (to, from) in dy.chunks_exact_mut(own).zip(from) {
                to.copy_from_slice(&from[..own]);
            }
            if round {
                round_all(dy);
            }
            self.arch.dispatch(Multiply {
                a: Left::Columns {
                    data: dy,
                    stride: own,
                },
                b: right,
                c: dw,
                c_stride: inputs,
                rows: own,
                columns: inputs,
                depth: rows,
                add: false,
                bias: None,
            });
        });
    }

    /// Packs `x`.
    fn panels(&self, compute: &Compute, round: bool, panels: &mut [f32]) {
        let (rows, _, inputs) = self.sizes;
        let width = layout(self.arch).0;
        let parts = Chunks::new(panels, width * rows);
        compute.each(inputs.div_ceil(width), parts, |index, part, _| {
            self.arch.dispatch(Panels {
                source: self.inputs(),
                depth: rows,
                columns: inputs,
                first: index * width,
                round,
                panels: part.into_slice(),
            });
        });
    }

    /// By bfloat16 pairs of rows.
    fn pairs(&self, compute: &Compute, unit: Unit, dw: &mut [f32], operand: &mut Buffer) {
        let (rows, outputs, inputs) = self.sizes;
        let len = panel_len(rows);
        let panels: &mut [u32] =
            bytemuck::cast_slice_mut(operand.take(inputs.div_ceil(BLOCK) * len));
        let parts = Chunks::new(&mut *panels, len);
        compute.each(inputs.div_ceil(BLOCK), parts, |index, part, _| {
            self.arch.dispatch(PackPanel {
                source: self.inputs(),
                depth: rows,
                columns: inputs,
                first: index * BLOCK,
                panel: part.into_slice(),
            });
        });
        let panels = &*panels;
        let height = task_height(outputs, (8, BLOCK), (2 * BLOCK, 6 * BLOCK));
        let parts = Chunks::new(dw, height * inputs);
        compute.each(outputs.div_ceil(height), parts, |index, part, scratch| {
            let dw = part.into_slice();
            let outputs = dw.len() / inputs;
            let a = bytemuck::cast_slice_mut(scratch.product.take(rows_len(outputs, rows)));
            self.arch.dispatch(PackLeft {
                source: self.gradients(index * height),
                rows: outputs,
                depth: rows,
                pairs: a,
            });
            self.arch.dispatch(PairProduct {
                unit,
                a,
                b: panels,
                c: dw,
                c_stride: inputs,
                rows: outputs,
                columns: inputs,
                depth: rows,
                add: false,
                bias: None,
            });
        });
    }

    /// `x` as a right operand.
    fn inputs(&self) -> Source<'a> {
        Source::Rows {
            data: self.x,
            stride: self.sizes.2,
        }
    }

    /// `dyᵀ` from an output on, as a left operand.
    fn gradients(&self, first: usize) -> Source<'a> {
        Source::Rows {
            data: &self.dy[first..],
            stride: self.sizes.1,
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
