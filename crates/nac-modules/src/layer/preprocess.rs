//! What happens to states before they are projected.

use tch::Tensor;

use super::geglu::Geglu;
use super::{Activation, LayerNorm, activate};
use crate::error::Result;

/// Layer norm, activation or nothing, applied once for all projections that read the result.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Preprocess<'a> {
    /// Unchanged.
    Identity,
    /// Layer norm.
    Norm(&'a LayerNorm),
    /// An activation.
    Activation(Activation),
}

impl Preprocess<'_> {
    pub(super) fn forward(self, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::Identity => Ok(x.shallow_clone()),
            Self::Norm(norm) => norm.forward(x),
            Self::Activation(activation) => activate(activation, x),
        }
    }

    /// As [`forward`](Self::forward), but without a graph, and whether the result is a new tensor, which may be changed in place.
    pub(super) fn value(self, x: &Tensor) -> Result<(Tensor, bool)> {
        tch::no_grad(|| {
            Ok(match self {
                Self::Identity => (x.shallow_clone(), false),
                Self::Activation(Activation::Geglu) => (Geglu::value(x)?, true),
                Self::Norm(_) | Self::Activation(Activation::Gelu) => (self.forward(x)?, true),
            })
        })
    }
}
