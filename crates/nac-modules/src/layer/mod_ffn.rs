//! Modulated feed-forward network (ModFFN): layer norm, ModFC, activation, ModFC, residual.
//!
//! Source: reference `utils.py`, class `ModFFN`; final configurations use GEGLU with capacity 4.

use nac_core::model::spec::ModFfnSpec;
use tch::Tensor;

use super::{Activation, LayerNorm, Preprocess, Projection, Residual, project, project_residual};
use crate::context::ForwardContext;
use crate::error::Result;
use crate::fused::{FeedForwardCall, FeedForwardSizes, FusedFeedForward, computes};
use crate::params::Scope;

/// Feed-forward block of a module. Parameters under `layernorm`, `ffn.0`, `ffn.2`, `layer_scale`.
#[derive(Debug)]
pub struct ModFfn {
    norm: LayerNorm,
    expand: Projection,
    contract: Projection,
    activation: Activation,
    residual: Residual,
    /// Whether fused blocks cover the settings.
    covered: bool,
    blocks: FusedFeedForward,
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
            covered: computes(spec).is_none(),
            blocks: FusedFeedForward::default(),
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
        if let Some(states) = self.fused(states, codes, ctx)? {
            return Ok(states);
        }
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

    /// As [`forward`](Self::forward) by a fused block, if that covers this layer and pass.
    fn fused(
        &self,
        states: &Tensor,
        codes: &Tensor,
        ctx: &mut ForwardContext<'_>,
    ) -> Result<Option<Tensor>> {
        let (kind, device, size) = (states.kind(), states.device(), states.size());
        let &[batch, modules, state] = size.as_slice() else {
            return Ok(None);
        };
        if !self.covered || !ctx.may_fuse(kind, device) {
            return Ok(None);
        }
        self.expand.check(states, codes)?;
        let expand = self.expand.projected(codes, ctx)?;
        let contract = self.contract.projected(codes, ctx)?;
        let (Some(expand), Some(contract)) = (expand, contract) else {
            return Ok(None);
        };
        let end = self.residual.fused_end(batch, ctx)?;
        let hidden = contract.weight.size()[1];
        let call = FeedForwardCall {
            states: states.f_contiguous()?,
            norm: self.norm.normalised(),
            expand,
            contract,
            sizes: FeedForwardSizes {
                batch,
                modules,
                state,
                hidden,
                gated: self.activation == Activation::Geglu,
                residual: end.add,
            },
            keep: end.keep,
        };
        let Some((executor, tape)) = ctx.fused(kind, device) else {
            return Ok(None);
        };
        let output = self.blocks.run(call, &executor, tape)?;
        let states = self
            .residual
            .after_fused(end.complete, states, output, ctx)?;
        Ok(Some(states))
    }
}
