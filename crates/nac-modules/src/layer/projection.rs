//! The projection inside every module: modulated by the module's code, plain, or weight-demodulated.
//!
//! Sources: reference `utils.py`, classes `ModFC`, `FC` and `WModFC`.

use nac_core::model::spec::ProjectionSpec;
use tch::Tensor;

use super::operands;
use super::{Linear, ModFc, ProjectionKind, WModFc};
use crate::context::ForwardContext;
use crate::error::Result;
use crate::fused::Projected;
use crate::params::Scope;

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
    /// The projection of `spec`.
    ///
    /// # Errors
    /// A size is zero or a name is taken.
    pub fn new(scope: &mut Scope<'_>, spec: &ProjectionSpec) -> Result<Self> {
        Ok(match spec.mod_fc.kind {
            ProjectionKind::ModFc => Self::ModFc(ModFc::new(scope, spec)?),
            ProjectionKind::Fc => {
                let mut scope = scope.sub(&spec.path);
                Self::Fc(Linear::new(
                    scope.sub("lin"),
                    spec.input,
                    spec.output,
                    spec.bias,
                )?)
            }
            ProjectionKind::WModFc => Self::WModFc(WModFc::new(scope, spec)?),
        })
    }

    /// Applies the projection.
    ///
    /// # Shapes
    /// - x: `[..., modules, in]`
    /// - codes: `[modules, code]` (shared) or `[..., modules, code]`; leading dimensions broadcast
    /// - output: `[..., modules, out]`
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
                self.check(x, codes)?;
                layer.forward(x)
            }
            Self::WModFc(layer) => layer.forward(x, codes),
        }
    }

    /// The tensors of the projection for a fused block; `None` if there is no such block.
    pub(crate) fn projected(
        &self,
        codes: &Tensor,
        ctx: &mut ForwardContext<'_>,
    ) -> Result<Option<Projected>> {
        match self {
            Self::ModFc(layer) => layer.projected(codes, ctx).map(Some),
            Self::Fc(layer) => Ok(Some(layer.projected())),
            Self::WModFc(_) => Ok(None),
        }
    }

    /// Refuses operands of [`forward`](Self::forward) that do not fit.
    pub(crate) fn check(&self, x: &Tensor, codes: &Tensor) -> Result<()> {
        match self {
            Self::ModFc(layer) => layer.check(x, codes),
            Self::Fc(layer) => operands::check("FC", x, codes, layer.weight().size()[1], None),
            Self::WModFc(layer) => layer.check(x, codes),
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
