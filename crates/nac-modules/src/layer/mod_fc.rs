//! Modulated fully-connected layer (ModFC).
//!
//! `y = W (x ⊙ (1 + α · LN(W_c c))) + b`: all modules share `W`, and the code `c` of a module decides
//! which input features it listens to. `α` is one learned scalar per layer, 0.1 at the start;
//! with `α = 0` the layer is a plain linear layer. The layer norm has no gain or bias and epsilon 1e-5.
//! Source: paper section on ModFC; reference `utils.py`, class `ModFC`.

use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::norm::normalise_last;
use crate::error::Result;
use crate::params::{Init, Scope};
use crate::shape;

/// Settings of a ModFC layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModFcConfig {
    /// Initial gain `α` on the normalised code projection. Default 0.1.
    pub scale_gain: f64,
    /// Whether `α` is trained. Default true.
    pub learnable_scale_gain: bool,
    /// Whether one is added to the scale, so that `α = 0` means no modulation. Default true.
    pub add_one_to_scale: bool,
}

impl Default for ModFcConfig {
    fn default() -> Self {
        Self {
            scale_gain: 0.1,
            learnable_scale_gain: true,
            add_one_to_scale: true,
        }
    }
}

/// A linear layer whose input features are scaled by each module's code.
///
/// Parameters: `native_weight` `[out, in]`, `native_bias` `[out]`, `scale.weight` `[in, code]`,
/// and `scale_gain` `[]` if it is trained.
#[derive(Debug)]
pub struct ModFc {
    weight: Tensor,
    bias: Option<Tensor>,
    code_projection: Tensor,
    gain: Tensor,
    add_one: bool,
}

impl ModFc {
    /// A layer from `in_dim` to `out_dim` features, modulated by codes of `code_dim`.
    ///
    /// # Errors
    /// A size is zero or a name is taken.
    pub fn new(
        mut scope: Scope<'_>,
        in_dim: usize,
        out_dim: usize,
        code_dim: usize,
        bias: bool,
        config: &ModFcConfig,
    ) -> Result<Self> {
        let inputs = shape::positive("in_dim", in_dim)?;
        let outputs = shape::positive("out_dim", out_dim)?;
        let codes = shape::positive("code_dim", code_dim)?;
        let weight = scope.parameter(
            "native_weight",
            &[outputs, inputs],
            Init::KaimingUniform { gain: 1.0 },
        )?;
        let bias = bias
            .then(|| scope.parameter("native_bias", &[outputs], Init::Zeros))
            .transpose()?;
        let gain = if config.learnable_scale_gain {
            scope.parameter("scale_gain", &[], Init::Constant(config.scale_gain))?
        } else {
            Tensor::f_full(
                [0_i64; 0].as_slice(),
                config.scale_gain,
                (scope.kind(), scope.device()),
            )?
        };
        let code_projection = scope.sub("scale").parameter(
            "weight",
            &[inputs, codes],
            Init::KaimingUniform { gain: 1.0 },
        )?;
        Ok(Self {
            weight,
            bias,
            code_projection,
            gain,
            add_one: config.add_one_to_scale,
        })
    }

    /// The factor on each input feature of each module, `1 + α · LN(W_c c)`.
    ///
    /// Does not depend on the input: with shared codes it is computed once for a whole batch.
    ///
    /// # Shapes
    /// - codes: `[modules, code]` or `[batch, modules, code]`
    /// - output: `[modules, in]` or `[batch, modules, in]`
    pub fn scale(&self, codes: &Tensor) -> Tensor {
        let scale =
            normalise_last(&codes.linear(&self.code_projection, None::<&Tensor>)) * &self.gain;
        if self.add_one { scale + 1.0 } else { scale }
    }

    /// Applies the layer.
    ///
    /// # Shapes
    /// - x: `[batch, modules, in]`
    /// - codes: `[modules, code]` (shared) or `[batch, modules, code]` (per example)
    /// - output: `[batch, modules, out]`
    ///
    /// # Errors
    /// The shapes do not fit.
    pub fn forward(&self, x: &Tensor, codes: &Tensor) -> Result<Tensor> {
        let in_dim = self.weight.size()[1];
        shape::check(
            "ModFC",
            "x",
            x,
            &[("batch", None), ("modules", None), ("in", Some(in_dim))],
        )?;
        let code_dim = self.code_projection.size()[1];
        shape::check_per_module(
            "ModFC",
            "codes",
            codes,
            x.size()[0],
            x.size()[1],
            Some(code_dim),
        )?;
        Ok((x * self.scale(codes)).linear(&self.weight, self.bias.as_ref()))
    }

    /// The shared weight `W`, `[out, in]`.
    pub(crate) fn weight(&self) -> &Tensor {
        &self.weight
    }

    /// The bias `b`, `[out]`.
    pub(crate) fn bias(&self) -> Option<&Tensor> {
        self.bias.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::params::ParamStore;
    use tch::{Device, Kind};

    const CPU: (Kind, Device) = (Kind::Float, Device::Cpu);

    fn layer(config: &ModFcConfig) -> ModFc {
        let mut store = ParamStore::new(Device::Cpu, Kind::Float, 5);
        ModFc::new(store.root(), 6, 4, 3, true, config).unwrap()
    }

    #[test]
    fn zero_gain_is_a_plain_linear_layer() {
        let layer = layer(&ModFcConfig {
            scale_gain: 0.0,
            ..Default::default()
        });
        let (x, codes) = (Tensor::randn([2, 5, 6], CPU), Tensor::randn([5, 3], CPU));
        let plain = x.linear(&layer.weight, layer.bias.as_ref());
        assert!(
            layer
                .forward(&x, &codes)
                .unwrap()
                .allclose(&plain, 1e-6, 1e-6, false)
        );
    }

    #[test]
    fn codes_per_example_equal_shared_codes_when_repeated() {
        let layer = layer(&ModFcConfig::default());
        let (x, codes) = (Tensor::randn([2, 5, 6], CPU), Tensor::randn([5, 3], CPU));
        let repeated = codes.unsqueeze(0).repeat([2, 1, 1]);
        let (a, b) = (
            layer.forward(&x, &codes).unwrap(),
            layer.forward(&x, &repeated).unwrap(),
        );
        assert!(a.allclose(&b, 1e-6, 1e-6, false));
    }

    #[test]
    fn wrong_shapes_are_errors_with_names() {
        let layer = layer(&ModFcConfig::default());
        let (x, codes) = (Tensor::randn([2, 5, 7], CPU), Tensor::randn([5, 3], CPU));
        let error = layer.forward(&x, &codes).unwrap_err().to_string();
        assert!(
            error.contains("ModFC: `x`") && error.contains("in=6"),
            "{error}"
        );
        let (x, codes) = (Tensor::randn([2, 5, 6], CPU), Tensor::randn([4, 3], CPU));
        assert!(
            layer
                .forward(&x, &codes)
                .unwrap_err()
                .to_string()
                .contains("`codes`")
        );
    }
}
