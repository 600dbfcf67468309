//! The end of a residual branch: layer scale, drop-path, and the states it is added to.

use tch::Tensor;

use super::{DropPath, LayerScale};
use crate::context::ForwardContext;
use crate::error::Result;

/// What happens to what a branch computed.
#[derive(Debug)]
pub(crate) struct Residual {
    layer_scale: LayerScale,
    drop_path: DropPath,
    add: bool,
}

impl Residual {
    /// A branch that is scaled, dropped, and added to the states if `add`.
    pub(crate) fn new(layer_scale: LayerScale, drop_path: DropPath, add: bool) -> Self {
        Self {
            layer_scale,
            drop_path,
            add,
        }
    }

    /// Whether the branch is added to the states and nothing else happens to it in this pass.
    pub(crate) fn only_adds(&self, ctx: &ForwardContext<'_>) -> bool {
        self.add && self.layer_scale.is_none() && !self.drop_path.acts(ctx)
    }

    /// New states.
    ///
    /// # Shapes
    /// - states, branch, output: `[batch, modules, state]`
    pub(crate) fn forward(
        &self,
        states: &Tensor,
        branch: Tensor,
        ctx: &mut ForwardContext<'_>,
    ) -> Result<Tensor> {
        let branch = self
            .drop_path
            .forward(self.layer_scale.forward(branch)?, ctx)?;
        if self.add {
            Ok(states.f_add(&branch)?)
        } else {
            Ok(branch)
        }
    }
}
