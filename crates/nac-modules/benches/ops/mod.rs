//! One file per operation. Sizes are those of the 640-module ImageNet circuit, batch 1.

pub(crate) mod mod_fc;
pub(crate) mod propagator;

use tch::{Device, Kind, Tensor};

pub(crate) const MODULES: i64 = 640;
pub(crate) const STATE: usize = 384;

/// Normal numbers.
pub(crate) fn random(size: &[i64]) -> Tensor {
    Tensor::randn(size, (Kind::Float, Device::Cpu))
}
