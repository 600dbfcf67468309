//! Plain linear layer `y = x Wᵀ + b`.

use nac_core::model::spec::LinearSpec;
use tch::Tensor;

use crate::error::Result;
use crate::fused::{Projected, ScaleSource};
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

    /// The layer of `spec`.
    ///
    /// # Errors
    /// A size is zero or a name is taken.
    pub fn from_spec(scope: &mut Scope<'_>, spec: &LinearSpec) -> Result<Self> {
        Self::new(scope.sub(&spec.path), spec.input, spec.output, spec.bias)
    }

    /// Applies the layer.
    ///
    /// # Shapes
    /// - x: `[..., in]`
    /// - output: `[..., out]`
    ///
    /// # Errors
    /// The last dimension of `x` is another.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        shape::check_last("Linear", "x", x, self.weight.size()[1])?;
        Ok(x.f_linear(&self.weight, self.bias.as_ref())?)
    }

    /// The tensors of the layer for a fused block.
    pub(crate) fn projected(&self) -> Projected {
        Projected {
            weight: self.weight.shallow_clone(),
            bias: self.bias.as_ref().map(Tensor::shallow_clone),
            scale: ScaleSource::One,
        }
    }

    /// The weight, `[out, in]`.
    pub fn weight(&self) -> &Tensor {
        &self.weight
    }

    /// The bias, `[out]`.
    pub fn bias(&self) -> Option<&Tensor> {
        self.bias.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::{
        Activation, ConvNextBlock, DropPath, FeedForward, LayerNorm, LayerScale, activate,
    };
    use crate::params::ParamStore;
    use nac_core::model::PerceiverIoConfig;
    use tch::{Device, Kind};

    #[test]
    fn a_wrong_shape_is_an_error_in_every_plain_layer() {
        let mut store = ParamStore::new(Device::Cpu, Kind::Float, 1);
        let mut root = store.root();
        let linear = Linear::new(root.sub("a"), 4, 3, true).unwrap();
        let norm = LayerNorm::new(root.sub("b"), 4).unwrap();
        let baseline = PerceiverIoConfig {
            latent_dim: 4,
            ..Default::default()
        };
        let baseline = baseline.resolve(4, 2).unwrap();
        let feed_forward = baseline.read.ffn.unwrap();
        let feed_forward = FeedForward::new(&mut root, &feed_forward).unwrap();
        let scale = LayerScale::new(&mut root.sub("d"), 4, Some(0.1)).unwrap();
        let drop_path = DropPath::new("e", 0.0).unwrap();
        let block = ConvNextBlock::new(root.sub("e"), 4, 1.0, drop_path).unwrap();
        let wrong = Tensor::zeros([2, 5], (Kind::Float, Device::Cpu));
        let mut noise = crate::context::StreamNoise::new(nac_core::Streams::new(0));
        let mut ctx = crate::context::ForwardContext::evaluation().with_noise(&mut noise);
        let errors = [
            linear.forward(&wrong),
            norm.forward(&wrong),
            feed_forward.forward(&wrong),
            scale.forward(wrong.shallow_clone()),
            activate(Activation::Geglu, &wrong),
            block.forward(&wrong, &mut ctx),
        ];
        for error in errors {
            let text = error.unwrap_err().to_string();
            assert!(text.contains("found [2, 5]"), "{text}");
        }
    }
}
