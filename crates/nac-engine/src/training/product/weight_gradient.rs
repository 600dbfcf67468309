//! The gradient of a weight: the product of two matrices over their common rows.
//!
//! In single precision the crate `gemm` multiplies. Its blocking depends on sizes and the processor alone, so that results are the
//! same for any number of threads.

use super::bf16::{BLOCK, PackLeft, PackPanel, PairProduct, Unit, panel_len, rows_len};
use super::panels::Source;
use super::rectangle::{Rectangle, rectangles};
use super::round::round_all;
use crate::training::compute::{Buffer, Chunks, Compute, TrainingPrecision};

/// `dw = dyᵀ x`, in parallel over parts of `dw`; each number is summed over rows in their order.
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
    if compute.precision() == TrainingPrecision::F32 {
        return product.single(compute, dw);
    }
    compute.with_operand(|operand| match Unit::detect() {
        Some(unit) => product.pairs(compute, unit, dw, operand),
        None => {
            let [dy, x] = operand.parts([dy.len(), x.len()]);
            for (to, from) in [(&mut *dy, product.dy), (&mut *x, product.x)] {
                to.copy_from_slice(from);
                round_all(to);
            }
            Product { dy, x, ..product }.single(compute, dw);
        }
    });
}

/// Outputs of one task with bfloat16 pairs: an eighth of them, in whole blocks, within bounds between which a task
/// reads `x` often enough and finds its part of `dy` in the cache.
fn task_height(outputs: usize) -> usize {
    let height = outputs.div_ceil(8).next_multiple_of(BLOCK);
    height.clamp(2 * BLOCK, 6 * BLOCK)
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
    /// In single precision.
    fn single(&self, compute: &Compute, dw: &mut [f32]) {
        let (rows, outputs, inputs) = self.sizes;
        rectangles(compute, dw, (outputs, inputs), |part: Rectangle<'_>| {
            let (rows_of_dw, columns_of_dw) = (part.rows(), part.columns());
            part.product(
                rows,
                (&self.dy[rows_of_dw.start..], outputs),
                (&self.x[columns_of_dw.start..], inputs),
            );
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
        let height = task_height(outputs);
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
