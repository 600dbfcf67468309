//! Layer scale: a learned factor per feature on a residual branch, small at the start.
//!
//! Source: CaiT (arXiv 2103.17239); reference `utils.py`, class `LayerScale`. Off in the final configurations.

use tch::Tensor;

use crate::error::{ModuleError, Result};
use crate::params::{Init, Scope};
use crate::shape;

/// Multiplies the last dimension by `gamma`. Parameter `layer_scale.gamma`, `[dim]`, if there is one.
#[derive(Debug)]
pub struct LayerScale {
    gamma: Option<Tensor>,
}

impl LayerScale {
    /// A scale of `dim` features below `scope`; with `None` the layer does nothing and has no parameter.
    ///
    /// # Errors
    /// `dim` is zero, the initial value is not finite, or the name is taken.
    pub fn new(scope: &mut Scope<'_>, dim: usize, initial_value: Option<f64>) -> Result<Self> {
        let dim = shape::positive("dim", dim)?;
        let Some(value) = initial_value else {
            return Ok(Self { gamma: None });
        };
        if !value.is_finite() {
            return Err(ModuleError::Setting {
                name: "layer_scale".into(),
                value: value.to_string(),
                reason: "must be a finite number".into(),
            });
        }
        let mut scope = scope.sub("layer_scale");
        let gamma = scope.parameter("gamma", &[dim], Init::Constant(value))?;
        Ok(Self { gamma: Some(gamma) })
    }

    /// Whether there is no scale.
    pub(super) fn is_none(&self) -> bool {
        self.gamma.is_none()
    }

    /// Applies the scale.
    ///
    /// # Shapes
    /// - branch: `[..., dim]`
    /// - output: as branch
    ///
    /// # Errors
    /// The last dimension of `branch` is another.
    pub fn forward(&self, branch: Tensor) -> Result<Tensor> {
        let Some(gamma) = &self.gamma else {
            return Ok(branch);
        };
        shape::check_last("LayerScale", "branch", &branch, gamma.size()[0])?;
        Ok(branch * gamma)
    }
}
