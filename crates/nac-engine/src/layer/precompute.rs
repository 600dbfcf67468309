//! Parallel loops for what is computed once, when a model is loaded.

use ndarray::linalg::general_mat_mul;
use ndarray::{Array2, ArrayView2, Axis};
use rayon::prelude::*;

/// Rows of a product that are computed together; fixed, so that results do not depend on the number of threads.
const ROWS: usize = 64;

/// `a · b`, on the thread pool if it is called there.
///
/// # Shapes
/// - a: `[rows, inner]`
/// - b: `[inner, columns]`
/// - result: `[rows, columns]`
pub(super) fn product(a: ArrayView2<'_, f32>, b: ArrayView2<'_, f32>) -> Array2<f32> {
    let mut y = Array2::zeros((a.nrows(), b.ncols()));
    let parts = y.axis_chunks_iter_mut(Axis(0), ROWS);
    let mut parts: Vec<_> = parts.zip(a.axis_chunks_iter(Axis(0), ROWS)).collect();
    each(&mut parts, |_, (y, a)| general_mat_mul(1.0, a, &b, 0.0, y));
    y
}

/// `work(index, part)` for all parts: on the thread pool if the caller is one of its threads, else one after the other.
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
    }
}
