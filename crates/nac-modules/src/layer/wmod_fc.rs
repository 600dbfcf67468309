//! Weight-demodulated fully-connected layer (WModFC), an alternative to ModFC.
//!
//! `s = 1 + W_c c + b_c` scales the input features; each output is divided by the length of its scaled row of
//! weights, `y_o = (Σ_i W_oi s_i x_i) / sqrt(Σ_i (W_oi s_i)² + ε) + b_o`.
//! Source: reference `utils.py`, class `WModFC`, after StyleGAN2 (arXiv 1912.04958).

use nac_core::model::spec::ProjectionSpec;
use tch::Tensor;

use super::Linear;
use crate::error::Result;
use crate::params::{Init, Scope};
use crate::shape;

/// Keeps the length of an all-zero row from dividing by zero.
const EPSILON: f64 = 1e-6;

/// A linear layer with code-dependent, length-normalised weights.
///
/// Parameters: `weight` `[out, in]`, `bias` `[out]`, `modulation.weight` `[in, code]`, `modulation.bias` `[in]`.
#[derive(Debug)]
pub struct WModFc {
    weight: Tensor,
    bias: Option<Tensor>,
    modulation: Linear,
}

impl WModFc {
    /// The layer of `spec`, whatever its kind.
    ///
    /// # Errors
    /// A size is zero or a name is taken.
    pub fn new(scope: &mut Scope<'_>, spec: &ProjectionSpec) -> Result<Self> {
        let inputs = shape::positive("input", spec.input)?;
        let outputs = shape::positive("output", spec.output)?;
        let start = Init::KaimingUniform {
            gain: spec.mod_fc.weight_init_gain,
        };
        let mut scope = scope.sub(&spec.path);
        let weight = scope.parameter("weight", &[outputs, inputs], start)?;
        let bias = spec
            .bias
            .then(|| scope.parameter("bias", &[outputs], Init::Zeros))
            .transpose()?;
        let modulation = Linear::new(scope.sub("modulation"), spec.code, spec.input, true)?;
        Ok(Self {
            weight,
            bias,
            modulation,
        })
    }

    /// Factor on the input features, `[modules, in]` or `[batch, modules, in]`.
    pub(super) fn style(&self, codes: &Tensor) -> Result<Tensor> {
        Ok(self.modulation.forward(codes)? + 1.0)
    }

    /// Factor on the outputs that goes with a style, `[modules, out]` or `[batch, modules, out]`.
    pub(super) fn demodulation(&self, style: &Tensor) -> Tensor {
        let squares = style
            .square()
            .linear(&self.weight.square(), None::<&Tensor>);
        (squares + EPSILON).rsqrt()
    }

    /// Applies the layer.
    ///
    /// # Shapes
    /// - x: `[..., modules, in]`
    /// - codes: `[modules, code]` (shared) or `[..., modules, code]`; leading dimensions broadcast
    /// - output: `[..., modules, out]`
    ///
    /// # Errors
    /// The shapes do not fit.
    pub fn forward(&self, x: &Tensor, codes: &Tensor) -> Result<Tensor> {
        self.check(x, codes)?;
        let style = self.style(codes)?;
        self.finish((x * &style).linear(&self.weight, None::<&Tensor>), &style)
    }

    /// Refuses operands of [`forward`](Self::forward) that do not fit.
    pub(super) fn check(&self, x: &Tensor, codes: &Tensor) -> Result<()> {
        let code_dim = self.modulation.weight().size()[1];
        super::operands::check("WModFC", x, codes, self.weight.size()[1], Some(code_dim))
    }

    /// From the product with the scaled features to the output: demodulation and bias.
    pub(super) fn finish(&self, product: Tensor, style: &Tensor) -> Result<Tensor> {
        let y = product * self.demodulation(style);
        Ok(match &self.bias {
            Some(bias) => y + bias,
            None => y,
        })
    }

    /// The shared weight, `[out, in]`.
    pub(super) fn weight(&self) -> &Tensor {
        &self.weight
    }

    /// The bias, `[out]`.
    pub(super) fn bias(&self) -> Option<&Tensor> {
        self.bias.as_ref()
    }
}
