//! Modulated feed-forward network (ModFFN): layer norm, ModFC, activation, ModFC, residual.
//!
//! Source: reference `utils.py`, class `ModFFN`; final configurations use GEGLU with capacity 4.

use nac_core::model::spec::ModFfnSpec;
use tch::Tensor;

use super::{Activation, LayerNorm, Preprocess, Projection, Residual, project, project_residual};
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
    /// The block of `spec`.
    ///
    /// # Errors
    /// A setting is out of range or a name is taken.
    pub fn new(scope: &mut Scope<'_>, spec: &ModFfnSpec) -> Result<Self> {
        if let Some(target) = &spec.shares {
            scope.alias(&spec.path, target);
        }
        Ok(Self {
            norm: LayerNorm::from_spec(scope, &spec.norm)?,
            expand: Projection::new(scope, &spec.expand)?,
            contract: Projection::new(scope, &spec.contract)?,
            activation: spec.activation,
            residual: Residual::new(scope, &spec.residual)?,
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
