//! Several projections of the same states, and what comes before them.
//!
//! States are normalised (or activated) once for all projections that read them. Without a tape this is the
//! plain composition of layers. With one it is a cut: the backward pass computes norm, activation and modulated
//! features again from the states, so that of `y = W (f(x) ⊙ s) + b` nothing is kept but `x` and `y`
//! themselves, which the neighbours keep anyway, and the projected codes that `s` comes from.

use tch::Tensor;

use super::geglu::Geglu;
use super::project_cut::{self, Branch, Factor};
use super::{Activation, LayerNorm, Projection, Residual, activate};
use crate::context::ForwardContext;
use crate::error::Result;

/// What happens to states before they are projected.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Before<'a> {
    /// Nothing.
    Nothing,
    /// Layer norm.
    Norm(&'a LayerNorm),
    /// An activation.
    Activation(Activation),
}

/// A projection with the codes of the modules that use it.
pub(crate) type Coded<'a> = (&'a Projection, &'a Tensor);

impl Before<'_> {
    fn forward(self, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::Nothing => Ok(x.shallow_clone()),
            Self::Norm(norm) => norm.forward(x),
            Self::Activation(activation) => activate(activation, x),
        }
    }

    /// As [`forward`](Self::forward), but without a graph, and whether the result is a tensor of its own.
    fn value(self, x: &Tensor) -> Result<(Tensor, bool)> {
        tch::no_grad(|| {
            Ok(match self {
                Self::Nothing => (x.shallow_clone(), false),
                Self::Activation(Activation::Geglu) => (Geglu::value(x)?, true),
                Self::Norm(_) | Self::Activation(Activation::Gelu) => (self.forward(x)?, true),
            })
        })
    }
}

/// Each of `projections` of the same states, in order.
///
/// # Shapes
/// - x: `[batch, modules, features]`; codes of each projection: `[modules, code]` or `[batch, modules, code]`
/// - output: `[batch, modules, out]` for each projection
pub(crate) fn project(
    x: &Tensor,
    before: Before<'_>,
    projections: &[Coded<'_>],
    ctx: &mut ForwardContext<'_>,
) -> Result<Vec<Tensor>> {
    if ctx.has_tape() {
        return cut(x, before, projections, None, ctx);
    }
    let features = before.forward(x)?;
    projections
        .iter()
        .map(|(projection, codes)| projection.forward(&features, codes, ctx))
        .collect()
}

/// One projection, and the end of the residual branch on `states` that it closes.
///
/// # Shapes
/// - states: `[batch, modules, state]`; x: `[batch, modules, features]`
/// - output: as states
pub(crate) fn project_residual(
    states: &Tensor,
    x: &Tensor,
    before: Before<'_>,
    projection: Coded<'_>,
    residual: &Residual,
    ctx: &mut ForwardContext<'_>,
) -> Result<Tensor> {
    if ctx.has_tape() && residual.only_adds(ctx) {
        return Ok(cut(x, before, &[projection], Some(states), ctx)?.swap_remove(0));
    }
    let branch = project(x, before, &[projection], ctx)?.swap_remove(0);
    let states = residual.forward(states, branch, ctx)?;
    ctx.boundary(&states)
}

/// [`project`] on the tape of the context, with `added` states added to each result.
fn cut(
    x: &Tensor,
    before: Before<'_>,
    projections: &[Coded<'_>],
    added: Option<&Tensor>,
    ctx: &mut ForwardContext<'_>,
) -> Result<Vec<Tensor>> {
    let (features, own) = before.value(x)?;
    let mut branches = Vec::with_capacity(projections.len());
    for (projection, codes) in projections {
        projection.check(&features, codes)?;
        let plain = |factor| Branch {
            weight: projection.weight().shallow_clone(),
            bias: projection.bias().map(Tensor::shallow_clone),
            factor,
            added: added.map(Tensor::shallow_clone),
        };
        branches.push(match projection {
            Projection::ModFc(layer) => plain(Factor::OfCodes(layer.modulation(codes, ctx)?)),
            Projection::Fc(_) => plain(Factor::One),
            // Demodulation, bias and residual come after the cut.
            Projection::WModFc(layer) => Branch {
                bias: None,
                added: None,
                ..plain(Factor::Given(layer.style(codes)?))
            },
        });
    }
    let styles: Vec<Option<Tensor>> = branches.iter().map(Branch::given).collect();
    let outputs = project_cut::record(x, before, (features, own), branches, ctx)?;
    let finish = |((output, style), (projection, _)): ((Tensor, Option<Tensor>), &Coded<'_>)| match (
        projection, style,
    ) {
        (Projection::WModFc(layer), Some(style)) => {
            let y = layer.finish(output, &style)?;
            Ok(match added {
                Some(states) => states.f_add(&y)?,
                None => y,
            })
        }
        _ => Ok(output),
    };
    outputs
        .into_iter()
        .zip(styles)
        .zip(projections)
        .map(finish)
        .collect()
}
