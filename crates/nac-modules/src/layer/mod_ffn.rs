//! Modulated feed-forward network (ModFFN): layer norm, ModFC, activation, ModFC, residual.
//!
//! Source: reference `utils.py`, class `ModFFN`; final configurations use GEGLU with capacity 4.

use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::{Activation, DropPath, LayerNorm, LayerScale, ModFcConfig, Projection};
use crate::context::ForwardContext;
use crate::error::{ModuleError, Result};
use crate::params::Scope;

/// Settings of a ModFFN.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModFfnConfig {
    /// Hidden width as a multiple of the state dimension, rounded half to even. Default 4.
    pub capacity_factor: f64,
    /// Activation: `geglu` or `gelu`. Default `geglu`.
    pub activation: Activation,
    /// Initial value of the learned scale of the branch; without it there is no such scale. Default none.
    pub layer_scale: Option<f64>,
    /// Whether the states are added to the result. Default true.
    pub residual: bool,
    /// Settings of the two projections; without them, those of the circuit. Default none.
    pub mod_fc: Option<ModFcConfig>,
}

impl Default for ModFfnConfig {
    fn default() -> Self {
        Self {
            capacity_factor: 4.0,
            activation: Activation::Geglu,
            layer_scale: None,
            residual: true,
            mod_fc: None,
        }
    }
}

impl ModFfnConfig {
    /// Hidden width for a state dimension.
    ///
    /// # Errors
    /// The result is not a positive whole number.
    pub fn hidden_dim(&self, state_dim: usize) -> Result<usize> {
        let width = (self.capacity_factor * state_dim as f64).round_ties_even();
        if width.is_finite() && width >= 1.0 {
            Ok(width as usize)
        } else {
            Err(ModuleError::Setting {
                name: "capacity_factor".into(),
                value: self.capacity_factor.to_string(),
                reason: format!("gives a hidden width of {width} for state dimension {state_dim}"),
            })
        }
    }
}

/// Feed-forward block of a module. Parameters under `layernorm`, `ffn.0`, `ffn.2`, `layer_scale`.
#[derive(Debug)]
pub struct ModFfn {
    norm: LayerNorm,
    expand: Projection,
    contract: Projection,
    activation: Activation,
    layer_scale: LayerScale,
    residual: bool,
    drop_path: DropPath,
}

impl ModFfn {
    /// A block on states of `state_dim`.
    ///
    /// # Errors
    /// A setting is out of range or a name is taken.
    pub fn new(
        mut scope: Scope<'_>,
        state_dim: usize,
        code_dim: usize,
        config: &ModFfnConfig,
        mod_fc: &ModFcConfig,
        drop_path: DropPath,
    ) -> Result<Self> {
        let hidden = config.hidden_dim(state_dim)?;
        let wide = hidden * config.activation.width_factor();
        let mod_fc = config.mod_fc.as_ref().unwrap_or(mod_fc);
        let mut projection = |place: usize, in_dim, out_dim| {
            let scope = scope.sub(format!("ffn.{place}"));
            Projection::new(scope, in_dim, out_dim, code_dim, true, mod_fc)
        };
        let expand = projection(0, state_dim, wide)?;
        let contract = projection(2, hidden, state_dim)?;
        Ok(Self {
            norm: LayerNorm::new(scope.sub("layernorm"), state_dim)?,
            expand,
            contract,
            activation: config.activation,
            layer_scale: LayerScale::new(&mut scope, state_dim, config.layer_scale)?,
            residual: config.residual,
            drop_path,
        })
    }

    /// Applies the block.
    ///
    /// # Shapes
    /// - states: `[batch, modules, state]`
    /// - codes: `[modules, code]` or `[batch, modules, code]`
    /// - output: as states
    ///
    /// # Errors
    /// The shapes do not fit.
    pub fn forward(
        &self,
        states: &Tensor,
        codes: &Tensor,
        ctx: &mut ForwardContext<'_>,
    ) -> Result<Tensor> {
        let hidden = self
            .expand
            .forward(&self.norm.forward(states)?, codes, ctx)?;
        let hidden = self.activation.forward(&hidden)?;
        let branch = self
            .layer_scale
            .forward(self.contract.forward(&hidden, codes, ctx)?)?;
        let branch = self.drop_path.forward(branch, ctx)?;
        Ok(if self.residual {
            states + branch
        } else {
            branch
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_width_rounds_half_to_even() {
        let config = |capacity_factor| ModFfnConfig {
            capacity_factor,
            ..Default::default()
        };
        assert_eq!(config(4.0 / 3.0).hidden_dim(12).unwrap(), 16);
        assert_eq!(config(0.5).hidden_dim(5).unwrap(), 2);
        assert_eq!(config(1.5).hidden_dim(5).unwrap(), 8);
        assert!(config(0.0).hidden_dim(5).is_err());
        assert!(config(f64::NAN).hidden_dim(5).is_err());
    }
}
