//! The end of a residual branch: layer scale, drop-path, and the states it is added to.

use nac_core::model::spec::ResidualSpec;
use tch::Tensor;

use super::{DropPath, LayerScale};
use crate::cached::takes_gradient;
use crate::context::ForwardContext;
use crate::error::Result;
use crate::params::Scope;

/// What happens to what a branch computed.
#[derive(Debug)]
pub(crate) struct Residual {
    layer_scale: LayerScale,
    drop_path: DropPath,
    add: bool,
}

/// The part of a residual branch's end that a fused block does.
pub(crate) struct FusedEnd {
    /// Whether it adds the states.
    pub(crate) add: bool,
    /// Factor on the branch of each example, `[batch]`.
    pub(crate) keep: Option<Tensor>,
    /// Whether that is all of it.
    pub(crate) complete: bool,
}

impl Residual {
    /// The end of `spec`.
    pub(crate) fn new(scope: &mut Scope<'_>, spec: &ResidualSpec) -> Result<Self> {
        let mut scope = scope.sub(&spec.path);
        let stream = scope.sub("drop_path").path().to_owned();
        Ok(Self {
            layer_scale: LayerScale::new(&mut scope, spec.dim, spec.layer_scale)?,
            drop_path: DropPath::new(stream, spec.drop_path)?,
            add: spec.add,
        })
    }

    /// Whether the branch is added to the states and nothing else happens to it in this pass.
    pub(crate) fn only_adds(&self, ctx: &ForwardContext<'_>) -> bool {
        self.add && self.layer_scale.is_none() && !self.drop_path.acts(ctx)
    }

    /// What a fused block does of this end for a batch of so many examples.
    pub(crate) fn fused_end(&self, batch: i64, ctx: &mut ForwardContext<'_>) -> Result<FusedEnd> {
        if !self.layer_scale.is_none() {
            return Ok(FusedEnd {
                add: false,
                keep: None,
                complete: false,
            });
        }
        Ok(FusedEnd {
            add: self.add,
            keep: self.drop_path.factors(batch, ctx)?,
            complete: true,
        })
    }

    /// New states from what a fused block with this `end` gave.
    pub(crate) fn after_fused(
        &self,
        end: bool,
        states: &Tensor,
        output: Tensor,
        ctx: &mut ForwardContext<'_>,
    ) -> Result<Tensor> {
        if end {
            return Ok(output);
        }
        let states = self.forward(states, output, ctx)?;
        ctx.detached_leaf(&states)
    }

    /// New states; the memory of a branch that nobody else reads becomes theirs where nothing takes a gradient.
    ///
    /// # Shapes
    /// - states, branch, output: `[batch, modules, state]`
    pub(crate) fn forward(
        &self,
        states: &Tensor,
        branch: Tensor,
        ctx: &mut ForwardContext<'_>,
    ) -> Result<Tensor> {
        let mut branch = self
            .drop_path
            .forward(self.layer_scale.forward(branch)?, ctx)?;
        if !self.add {
            return Ok(branch);
        }
        let alike = branch.kind() == states.kind() && branch.size() == states.size();
        if alike && !takes_gradient(&[states, &branch])? {
            return Ok(branch.f_add_(states)?);
        }
        Ok(states.f_add(&branch)?)
    }
}
