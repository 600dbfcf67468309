//! Activations of feed-forward layers and the plain feed-forward block of the Perceiver IO baseline.

use nac_core::model::spec::FeedForwardSpec;
use tch::Tensor;

use super::{Activation, LayerNorm, Linear};
use crate::context::ForwardContext;
use crate::error::{ModuleError, Result};
use crate::fused::{FeedForwardCall, FeedForwardSizes, FusedFeedForward};
use crate::params::Scope;
use crate::shape;

/// Applies an activation to the last dimension.
///
/// # Shapes
/// - x: `[..., hidden · width_factor]`
/// - output: `[..., hidden]`
///
/// # Errors
/// GEGLU cannot split the last dimension in two halves.
pub fn activate(activation: Activation, x: &Tensor) -> Result<Tensor> {
    match activation {
        Activation::Gelu => Ok(x.f_gelu("none")?),
        Activation::Geglu => {
            let width = x.size().last().copied().unwrap_or(0);
            if width == 0 || width % 2 != 0 {
                return Err(ModuleError::Shape {
                    op: "GEGLU",
                    name: "x".into(),
                    expected: "[..., an even number]".into(),
                    found: x.size(),
                });
            }
            let halves = x.f_chunk(2, -1)?;
            Ok(&halves[0] * halves[1].f_gelu("none")?)
        }
    }
}

/// Linear, GEGLU, linear. Parameters under `net.0` and `net.2`.
#[derive(Debug)]
pub struct FeedForward {
    expand: Linear,
    contract: Linear,
    blocks: FusedFeedForward,
}

impl FeedForward {
    /// The block of `spec` without its norm and its residual.
    ///
    /// # Errors
    /// A size is zero or a name is taken.
    pub fn new(scope: &mut Scope<'_>, spec: &FeedForwardSpec) -> Result<Self> {
        Ok(Self {
            expand: Linear::from_spec(scope, &spec.expand)?,
            contract: Linear::from_spec(scope, &spec.contract)?,
            blocks: FusedFeedForward::default(),
        })
    }

    /// Applies the block.
    ///
    /// # Shapes
    /// - x: `[..., dim]`
    /// - output: as x
    ///
    /// # Errors
    /// The last dimension of `x` is another.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let hidden = activate(Activation::Geglu, &self.expand.forward(x)?)?;
        self.contract.forward(&hidden)
    }

    /// The states with the block of their norm added, `[batch, items, dim]`, by a fused block, if that covers this pass.
    pub(crate) fn fused(
        &self,
        x: &Tensor,
        norm: &LayerNorm,
        ctx: &mut ForwardContext<'_>,
    ) -> Result<Option<Tensor>> {
        let (kind, device, size) = (x.kind(), x.device(), x.size());
        let &[batch, modules, state] = size.as_slice() else {
            return Ok(None);
        };
        if !ctx.may_fuse(kind, device) {
            return Ok(None);
        }
        shape::check_last("FeedForward", "x", x, self.expand.weight().size()[1])?;
        let call = FeedForwardCall {
            states: x.f_contiguous()?,
            norm: norm.normalised(),
            expand: self.expand.projected(),
            contract: self.contract.projected(),
            sizes: FeedForwardSizes {
                batch,
                modules,
                state,
                hidden: self.contract.weight().size()[1],
                gated: true,
                residual: true,
            },
            keep: None,
        };
        let Some((executor, tape)) = ctx.fused(kind, device) else {
            return Ok(None);
        };
        self.blocks.run(call, &executor, tape).map(Some)
    }
}
