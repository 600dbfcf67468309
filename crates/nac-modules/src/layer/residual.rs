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
