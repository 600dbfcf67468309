//! One file per operation.

pub(crate) mod attention;
pub(crate) mod engine;
pub(crate) mod product;
pub(crate) mod propagator;
pub(crate) mod training;

use nac_core::Streams;
use ndarray::Array2;

/// Standard normal signatures, `[modules, 64]`.
pub(crate) fn random_signatures(name: &str, modules: usize) -> Array2<f32> {
    let mut out = Array2::zeros((modules, 64));
    let mut stream = Streams::new(0).stream(name);
    out.iter_mut()
        .for_each(|value| stream.fill_normal(std::slice::from_mut(value)));
    out
}
