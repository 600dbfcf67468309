//! Layer normalisation over the last dimension.

use nac_core::model::spec::NormSpec;
use tch::Tensor;

use crate::error::Result;
use crate::fused::Normalised;
use crate::params::{Init, Scope};
use crate::shape;

/// PyTorch's default epsilon, used by every layer norm of the circuit.
const EPSILON: f64 = 1e-5;

/// Layer norm with learned gain and bias. Parameters `weight` and `bias`, both `[dim]`.
#[derive(Debug)]
pub struct LayerNorm {
    weight: Tensor,
    bias: Tensor,
    dim: i64,
}

impl LayerNorm {
    /// A layer that starts as plain normalisation.
    ///
    /// # Errors
    /// `dim` is zero or a name is taken.
    pub fn new(mut scope: Scope<'_>, dim: usize) -> Result<Self> {
        let dim = shape::positive("dim", dim)?;
        let weight = scope.parameter("weight", &[dim], Init::Ones)?;
        let bias = scope.parameter("bias", &[dim], Init::Zeros)?;
        Ok(Self { weight, bias, dim })
    }

    /// The layer of `spec`.
    ///
    /// # Errors
    /// `dim` is zero or a name is taken.
    pub fn from_spec(scope: &mut Scope<'_>, spec: &NormSpec) -> Result<Self> {
        Self::new(scope.sub(&spec.path), spec.dim)
    }

    /// Normalises the last dimension.
    ///
    /// # Shapes
    /// - x: `[..., dim]`
    /// - output: as x
    ///
    /// # Errors
    /// The last dimension of `x` is another.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        shape::check_last("LayerNorm", "x", x, self.dim)?;
        Ok(normalise_with(x, &self.weight, &self.bias)?)
    }

    /// The tensors of the layer for a fused block.
    pub(crate) fn normalised(&self) -> Normalised {
        Normalised {
            gain: self.weight.shallow_clone(),
            bias: self.bias.shallow_clone(),
        }
    }

    /// The gain, `[dim]`.
    pub(super) fn weight(&self) -> &Tensor {
        &self.weight
    }

    /// The bias, `[dim]`.
    pub(super) fn bias(&self) -> &Tensor {
        &self.bias
    }
}

/// Layer norm with this gain and bias, both `[dim]`, epsilon 1e-5.
pub(super) fn normalise_with(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
) -> std::result::Result<Tensor, tch::TchError> {
    x.f_layer_norm(weight.size(), Some(weight), Some(bias), EPSILON, false)
}

/// Layer norm without learned gain and bias, epsilon 1e-5.
pub(crate) fn normalise_last(x: &Tensor) -> Tensor {
    let dim = x.size().last().copied().unwrap_or(1);
    x.layer_norm([dim], None::<&Tensor>, None::<&Tensor>, EPSILON, false)
}
