//! Modulated feed-forward network (ModFFN): layer norm, ModFC, activation, ModFC, residual.
//!
//! Source: reference `utils.py`, class `ModFFN`; final configurations use GEGLU with capacity 4.

use tch::Tensor;

use super::{
    Activation, DropPath, LayerNorm, LayerScale, ModFcConfig, ModFfnConfig, Preprocess, Projection,
    Residual, project, project_residual,
};
use crate::context::ForwardContext;
use crate::error::Result;
use crate::params::Scope;

/// Feed-forward block of a module. Parameters under `layernorm`, `ffn.0`, `ffn.2`, `layer_scale`.
#[derive(Debug)]
pub struct ModFfn {
    norm: LayerNorm,
    expand: Projection,
    contract: Projection,
    activation: Activation,
    residual: Residual,
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
            residual: Residual::new(
                LayerScale::new(&mut scope, state_dim, config.layer_scale)?,
                drop_path,
                config.residual,
            ),
        })
    }

    /// Applies the block.
    ///
    /// # Shapes
    /// - states: `[..., modules, state]`
    /// - codes: `[modules, code]` or `[..., modules, code]`, which broadcasts to the states
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
        let norm = Preprocess::Norm(&self.norm);
        let hidden = project(states, norm, &[(&self.expand, codes)], ctx)?;
        project_residual(
            states,
            &hidden[0],
            Preprocess::Activation(self.activation),
            (&self.contract, codes),
            &self.residual,
            ctx,
        )
    }
}
