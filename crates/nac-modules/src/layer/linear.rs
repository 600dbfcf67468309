//! Plain linear layer `y = x Wᵀ + b`.

use tch::Tensor;

use crate::error::Result;
use crate::params::{Init, Scope};
use crate::shape;

/// `y = x Wᵀ + b` on the last dimension. Parameters `weight` `[out, in]` and, if asked for, `bias` `[out]`.
#[derive(Debug)]
pub struct Linear {
    weight: Tensor,
    bias: Option<Tensor>,
}

impl Linear {
    /// A layer with PyTorch's initial values.
    ///
    /// # Errors
    /// A size is zero or a name is taken.
    pub fn new(mut scope: Scope<'_>, in_dim: usize, out_dim: usize, bias: bool) -> Result<Self> {
        let (inputs, outputs) = (
            shape::positive("in_dim", in_dim)?,
            shape::positive("out_dim", out_dim)?,
        );
        let weight = scope.parameter(
            "weight",
            &[outputs, inputs],
            Init::KaimingUniform { gain: 1.0 },
        )?;
        let bound = 1.0 / (in_dim as f64).sqrt();
        let bias = bias
            .then(|| scope.parameter("bias", &[outputs], Init::Uniform { bound }))
            .transpose()?;
        Ok(Self { weight, bias })
    }

    /// Applies the layer.
    ///
    /// # Shapes
    /// - x: `[..., in]`
    /// - output: `[..., out]`
    pub fn forward(&self, x: &Tensor) -> Tensor {
        x.linear(&self.weight, self.bias.as_ref())
    }

    /// The weight, `[out, in]`.
    pub fn weight(&self) -> &Tensor {
        &self.weight
    }
}
