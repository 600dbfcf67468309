//! The same layers on plain arrays, for what is computed once when a model is loaded.

use ndarray::linalg::general_mat_mul;
use ndarray::{Array1, Array2, ArrayView2, Axis};
use rayon::prelude::*;

use super::{Norm, Projection};
use crate::layer::projection::Raw;

impl Norm {
    /// Layer norm of each line of `x`, `[items, features]`.
    pub(crate) fn lines(&self, x: ArrayView2<'_, f32>) -> Array2<f32> {
        let (gain, bias, epsilon) = self.parts();
        let mut y = x.to_owned();
        for mut row in y.axis_iter_mut(Axis(0)) {
            let count = row.len() as f32;
            let mean = row.sum() / count;
            let variance = row.iter().map(|x| (x - mean) * (x - mean)).sum::<f32>() / count;
            let scale = 1.0 / (variance + epsilon).sqrt();
            for ((x, gain), bias) in row.iter_mut().zip(gain).zip(bias) {
                *x = (*x - mean) * scale * gain + bias;
            }
        }
        y
    }
}

impl Projection {
    /// The projection of each line of `x`, `[items, in]`, with the codes of the items, `[items, code]`.
    pub(crate) fn lines(
        &self,
        raw: &Raw<'_>,
        x: ArrayView2<'_, f32>,
        codes: ArrayView2<'_, f32>,
    ) -> Array2<f32> {
        let (input, output) = self.factors(codes);
        let scaled = match input {
            Some(factor) => &x * &factor,
            None => x.to_owned(),
        };
        let mut y = product(scaled.view(), matrix(&raw.weight, x.ncols()).t());
        if let Some(factor) = output {
            y *= &factor;
        }
        if let Some(bias) = &raw.bias {
            y += &Array1::from(bias.to_vec());
        }
        y
    }
}

/// `values` as lines of `columns`.
pub(crate) fn matrix(values: &[f32], columns: usize) -> Array2<f32> {
    let rows = values.len().checked_div(columns).unwrap_or(0);
    let values = values[..rows * columns].to_vec();
    // There are as many values as the shape says.
    Array2::from_shape_vec((rows, columns), values).unwrap_or_default()
}

/// Lines of a product that are computed together; fixed, so that results do not depend on the number of threads.
const LINES: usize = 64;

/// `a · b`, on the threads of the team if it is called there.
///
/// # Shapes
/// - a: `[lines, inner]`
/// - b: `[inner, columns]`
/// - result: `[lines, columns]`
pub(super) fn product(a: ArrayView2<'_, f32>, b: ArrayView2<'_, f32>) -> Array2<f32> {
    let mut y = Array2::zeros((a.nrows(), b.ncols()));
    let parts = y.axis_chunks_iter_mut(Axis(0), LINES);
    let mut parts: Vec<_> = parts.zip(a.axis_chunks_iter(Axis(0), LINES)).collect();
    each(&mut parts, |_, (y, a)| general_mat_mul(1.0, a, &b, 0.0, y));
    y
}

/// `work(index, part)` for all parts: on the threads of the team if this is one of them, else one after the other.
pub(super) fn each<T: Send>(parts: &mut [T], work: impl Fn(usize, &mut T) + Sync) {
    if rayon::current_thread_index().is_some() {
        let parts = parts.par_iter_mut().enumerate();
        parts.for_each(|(index, part)| work(index, part));
    } else {
        for (index, part) in parts.iter_mut().enumerate() {
            work(index, part);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_the_same_on_any_number_of_threads() {
        let wave = |scale: usize| move |(i, j): (usize, usize)| ((i * scale + j) as f32).sin();
        let a = Array2::from_shape_fn((150, 37), wave(5));
        let b = Array2::from_shape_fn((41, 37), wave(3));
        let alone = product(a.view(), b.t());
        for threads in [1, 3] {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            assert_eq!(pool.install(|| product(a.view(), b.t())), alone);
        }
        let most = (&alone - &a.dot(&b.t()))
            .iter()
            .fold(0.0_f32, |most, x| most.max(x.abs()));
        assert!(most < 1e-5, "{most}");
        assert_eq!(
            matrix(&[1.0, 2.0, 3.0, 4.0], 2),
            ndarray::array![[1.0, 2.0], [3.0, 4.0]]
        );
    }
}
