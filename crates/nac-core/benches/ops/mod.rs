//! One file per operation.

pub(crate) mod assignment;
pub(crate) mod kernel;
pub(crate) mod relaxed;
pub(crate) mod sampling;

use nac_core::Streams;
use ndarray::Array2;

/// Signature dimension of all benchmarks.
pub(crate) const DIM: usize = 64;

/// Standard normal signatures, `[modules, 64]`.
pub(crate) fn random_signatures(name: &str, modules: usize) -> Array2<f32> {
    let mut out = Array2::zeros((modules, DIM));
    let mut stream = Streams::new(0).stream(name);
    out.iter_mut()
        .for_each(|value| stream.fill_normal(std::slice::from_mut(value)));
    out
}
