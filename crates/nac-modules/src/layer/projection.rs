//! The projection inside every module: modulated by the module's code, plain, or weight-demodulated.
//!
//! Sources: reference `utils.py`, classes `ModFC`, `FC` and `WModFC`.

use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::{Linear, ModFc, WModFc};
use crate::context::ForwardContext;
use crate::error::{ModuleError, Result};
use crate::params::Scope;
use crate::shape;

/// Which layer a projection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum ProjectionKind {
    /// [`ModFc`]: the code scales the input features.
    #[default]
    #[serde(rename = "mod_fc")]
    ModFc,
    /// A plain linear layer; the code is ignored and all modules compute the same function.
    #[serde(rename = "fc")]
    Fc,
    /// [`WModFc`]: the code scales the input features and the outputs are brought back to unit scale.
    #[serde(rename = "wmod_fc")]
    WModFc,
}

/// What the projected code of a [`ModFc`] goes through before the gain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ScaleNormalization {
    /// Layer norm without gain and bias, epsilon 1e-5.
    #[default]
    Ln,
    /// Scaled to length one, epsilon 1e-12.
    L2,
    /// Nothing.
    None,
    /// Logistic function.
    Sigmoid,
    /// Hyperbolic tangent.
    Tanh,
}

impl ScaleNormalization {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Ln, Self::L2, Self::None, Self::Sigmoid, Self::Tanh];
}

/// Settings of the projections of a circuit or a block.
///
/// `kind = "fc"` and `kind = "wmod_fc"` use none of the others but `weight_init_gain` for the latter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModFcConfig {
    /// Which layer: `mod_fc`, `fc` (ignores codes) or `wmod_fc`. Default `mod_fc`.
    pub kind: ProjectionKind,
    /// What `W_c c` goes through before the gain: `ln`, `l2`, `none`, `sigmoid` or `tanh`. Default `ln`.
    pub scale_normalization: ScaleNormalization,
    /// Initial gain `α` on the normalised code projection. Default 0.1.
    pub scale_gain: f64,
    /// Whether `α` is trained. Default true.
    pub learnable_scale_gain: bool,
    /// Whether one is added to the scale, so that `α = 0` means no modulation. Default true.
    pub add_one_to_scale: bool,
    /// Probability in `[0, 1)` of leaving out an entry of the modulation in training. Default 0.
    pub scale_dropout: f64,
    /// Factor on the initial values of the weight. Default 1.
    pub weight_init_gain: f64,
}

impl Default for ModFcConfig {
    fn default() -> Self {
        Self {
            kind: ProjectionKind::ModFc,
            scale_normalization: ScaleNormalization::Ln,
            scale_gain: 0.1,
            learnable_scale_gain: true,
            add_one_to_scale: true,
            scale_dropout: 0.0,
            weight_init_gain: 1.0,
        }
    }
}

impl ModFcConfig {
    /// Refuses values that make no sense.
    pub(super) fn check(&self) -> Result<()> {
        let refuse = |name: &str, value: f64, reason: &str| {
            Err(ModuleError::Setting {
                name: name.into(),
                value: value.to_string(),
                reason: reason.into(),
            })
        };
        if !(0.0..1.0).contains(&self.scale_dropout) {
            let reason = "must be at least 0 and below 1";
            return refuse("scale_dropout", self.scale_dropout, reason);
        }
        if !self.scale_gain.is_finite() {
            return refuse("scale_gain", self.scale_gain, "must be a finite number");
        }
        if !(self.weight_init_gain.is_finite() && self.weight_init_gain >= 0.0) {
            let reason = "must be a finite number of at least 0";
            return refuse("weight_init_gain", self.weight_init_gain, reason);
        }
        Ok(())
    }
}

/// A linear layer from the features of a module, perhaps modulated by its code.
///
/// Parameters: those of [`ModFc`] or [`WModFc`]; for a plain layer `lin.weight` `[out, in]` and `lin.bias` `[out]`.
#[derive(Debug)]
pub enum Projection {
    /// Modulated by the code.
    ModFc(ModFc),
    /// Plain.
    Fc(Linear),
    /// Weight-demodulated.
    WModFc(WModFc),
}

impl Projection {
    /// A projection from `in_dim` to `out_dim` features for modules with codes of `code_dim`.
    ///
    /// # Errors
    /// A size is zero, a setting is out of range or a name is taken.
    pub fn new(
        mut scope: Scope<'_>,
        in_dim: usize,
        out_dim: usize,
        code_dim: usize,
        bias: bool,
        config: &ModFcConfig,
    ) -> Result<Self> {
        Ok(match config.kind {
            ProjectionKind::ModFc => {
                Self::ModFc(ModFc::new(scope, in_dim, out_dim, code_dim, bias, config)?)
            }
            ProjectionKind::Fc => Self::Fc(Linear::new(scope.sub("lin"), in_dim, out_dim, bias)?),
            ProjectionKind::WModFc => {
                Self::WModFc(WModFc::new(scope, in_dim, out_dim, code_dim, bias, config)?)
            }
        })
    }

    /// Applies the projection.
    ///
    /// # Shapes
    /// - x: `[batch, modules, in]`
    /// - codes: `[modules, code]` (shared) or `[batch, modules, code]` (per example)
    /// - output: `[batch, modules, out]`
    ///
    /// # Errors
    /// The shapes do not fit, or the source of noise fails.
    pub fn forward(
        &self,
        x: &Tensor,
        codes: &Tensor,
        ctx: &mut ForwardContext<'_>,
    ) -> Result<Tensor> {
        match self {
            Self::ModFc(layer) => layer.forward(x, codes, ctx),
            Self::Fc(layer) => {
                check("FC", x, codes, layer.weight().size()[1], None)?;
                layer.forward(x)
            }
            Self::WModFc(layer) => layer.forward(x, codes),
        }
    }

    /// Factor on the input features of each module, `[modules, in]` or `[batch, modules, in]`; `None` is one.
    pub(crate) fn input_scale(
        &self,
        codes: &Tensor,
        ctx: &mut ForwardContext<'_>,
    ) -> Result<Option<Tensor>> {
        match self {
            Self::ModFc(layer) => layer.scale(codes, ctx).map(Some),
            Self::Fc(_) => Ok(None),
            Self::WModFc(layer) => Ok(Some(layer.style(codes)?)),
        }
    }

    /// Factor on the outputs of each module before the bias, `[modules, out]` or `[batch, modules, out]`;
    /// `None` is one. `input_scale` is what [`Self::input_scale`] gave.
    pub(crate) fn output_scale(&self, input_scale: Option<&Tensor>) -> Option<Tensor> {
        match (self, input_scale) {
            (Self::WModFc(layer), Some(style)) => Some(layer.demodulation(style)),
            _ => None,
        }
    }

    /// The shared weight, `[out, in]`.
    pub(crate) fn weight(&self) -> &Tensor {
        match self {
            Self::ModFc(layer) => layer.weight(),
            Self::Fc(layer) => layer.weight(),
            Self::WModFc(layer) => layer.weight(),
        }
    }

    /// The bias, `[out]`.
    pub(crate) fn bias(&self) -> Option<&Tensor> {
        match self {
            Self::ModFc(layer) => layer.bias(),
            Self::Fc(layer) => layer.bias(),
            Self::WModFc(layer) => layer.bias(),
        }
    }
}

/// Checks the operands of a projection; a plain one does not care for the width of codes.
pub(super) fn check(
    op: &'static str,
    x: &Tensor,
    codes: &Tensor,
    in_dim: i64,
    code_dim: Option<i64>,
) -> Result<()> {
    let expected = [("batch", None), ("modules", None), ("in", Some(in_dim))];
    shape::check(op, "x", x, &expected)?;
    let size = x.size();
    shape::check_per_module(op, "codes", codes, size[0], size[1], code_dim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_by_name_and_checked() {
        let config: ModFcConfig =
            serde_json::from_str(r#"{"kind": "fc", "scale_normalization": "l2"}"#).unwrap();
        assert_eq!(config.kind, ProjectionKind::Fc);
        assert_eq!(config.scale_normalization, ScaleNormalization::L2);
        assert!(serde_json::from_str::<ModFcConfig>(r#"{"kind": "fcc"}"#).is_err());
        assert!(serde_json::from_str::<ModFcConfig>(r#"{"gain": 1}"#).is_err());
        assert!(ModFcConfig::default().check().is_ok());
        let bad = [
            ModFcConfig {
                scale_dropout: 1.0,
                ..Default::default()
            },
            ModFcConfig {
                scale_gain: f64::NAN,
                ..Default::default()
            },
            ModFcConfig {
                weight_init_gain: -1.0,
                ..Default::default()
            },
        ];
        for config in bad {
            assert!(config.check().is_err(), "{config:?}");
        }
    }
}
