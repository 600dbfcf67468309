//! Sums over the rows of a matrix: gradients of biases and gains.

use pulp::{Simd, WithSimd};

use crate::training::compute::{Chunks, Compute};

/// Columns that are one task.
const COLUMNS: usize = 256;

/// `sums[j] = Σ_i values[i][j]`, in parallel over columns; each is summed over rows in their order.
///
/// # Shapes
/// - values: `[rows, columns]`
/// - sums: `[columns]`
pub(crate) fn column_sums(compute: &Compute, values: &[f32], sums: &mut [f32]) {
    let columns = sums.len();
    debug_assert!(values.len().is_multiple_of(columns.max(1)));
    let parts = Chunks::new(sums, COLUMNS);
    compute.each(columns.div_ceil(COLUMNS), parts, |index, part, _| {
        compute.arch().dispatch(Sums {
            values: values.get(index * COLUMNS..).unwrap_or_default(),
            stride: columns,
            sums: part.into_slice(),
        });
    });
}

struct Sums<'a> {
    /// Row `i` starts at `i · stride`.
    values: &'a [f32],
    stride: usize,
    sums: &'a mut [f32],
}

impl WithSimd for Sums<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let columns = self.sums.len();
        self.sums.fill(0.0);
        for row in self.values.chunks(self.stride) {
            let (heads, tails) = S::as_simd_f32s(&row[..columns]);
            let (sums, last) = S::as_mut_simd_f32s(self.sums);
            for (sum, value) in sums.iter_mut().zip(heads) {
                *sum = simd.add_f32s(*sum, *value);
            }
            for (sum, value) in last.iter_mut().zip(tails) {
                *sum += value;
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::reference::{assert_close, numbers, product};
    use super::*;
    use crate::training::TrainingPrecision;

    #[test]
    fn agrees_with_double_precision() {
        for threads in [1, 2] {
            let compute = Compute::new(threads, TrainingPrecision::F32).unwrap();
            for (rows, columns) in [(0, 3), (1, 1), (33, 7), (100, 256), (65, 300), (9, 515)] {
                let values = numbers(rows * columns, 5);
                let mut sums = vec![f32::NAN; columns];
                column_sums(&compute, &values, &mut sums);
                let expected = product(
                    (1, columns, rows),
                    |_, _| 1.0,
                    |i, j| values[i * columns + j],
                );
                assert_close(&sums, &expected, 1e-6);
            }
        }
    }
}
