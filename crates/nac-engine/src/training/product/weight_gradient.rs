//! The gradient of a weight: the product of two matrices over their common rows.

use super::multiply::{Left, Multiply, Right};
use super::packed::round;
use crate::training::compute::{Chunks, Compute, TrainingPrecision};

/// Outputs of a weight whose gradients are one task.
const OUTPUTS: usize = 48;

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
    debug_assert_eq!(dy.len(), rows * outputs);
    debug_assert_eq!(x.len(), rows * inputs);
    debug_assert_eq!(dw.len(), outputs * inputs);
    let rounded;
    let (dy, x) = if compute.precision() == TrainingPrecision::Mixed {
        rounded = [dy, x].map(|values| values.iter().map(|x| round(*x)).collect::<Vec<_>>());
        (&rounded[0][..], &rounded[1][..])
    } else {
        (dy, x)
    };
    let parts = Chunks::new(dw, OUTPUTS * inputs);
    compute.each(outputs.div_ceil(OUTPUTS), parts, |index, part, _| {
        let first = index * OUTPUTS;
        let part = part.into_slice();
        compute.arch().dispatch(Multiply {
            a: Left::Columns {
                data: dy.get(first..).unwrap_or_default(),
                stride: outputs,
            },
            b: Right::Rows {
                data: x,
                stride: inputs,
            },
            rows: part.len() / inputs,
            c: part,
            c_stride: inputs,
            columns: inputs,
            depth: rows,
            add: false,
            bias: None,
        });
    });
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
