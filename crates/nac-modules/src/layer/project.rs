//! Several projections of the same states, with the norm or activation before them.
//!
//! States are normalised (or activated) once for all projections that read them. Without a tape this is the
//! plain composition of layers; where nothing takes a gradient, the last projection scales the features in place. With a tape it is a recompute node: the backward pass recomputes norm, activation and
//! modulated features from the states, so that of `y = W (f(x) ⊙ s) + b` nothing is kept but `x` and `y`
//! themselves, which the neighbouring layers keep anyway, and the projected codes that `s` comes from.

use tch::Tensor;

use super::preprocess::Preprocess;
use super::recompute_projection::{self, Branch, Factor};
use super::{Projection, Residual};
use crate::cached::takes_gradient;
use crate::context::ForwardContext;
use crate::error::Result;

/// A projection with the codes of the modules that use it.
pub(crate) type Coded<'a> = (&'a Projection, &'a Tensor);

/// Each of `projections` of the same states, in order.
///
/// # Shapes
/// - x: `[..., modules, features]`; codes of each projection: `[modules, code]` or `[..., modules, code]`
/// - output: `[..., modules, out]` for each projection
pub(crate) fn project(
    x: &Tensor,
    before: Preprocess<'_>,
    projections: &[Coded<'_>],
    ctx: &mut ForwardContext<'_>,
) -> Result<Vec<Tensor>> {
    if ctx.has_tape() {
        return recorded(x, before, projections, None, ctx);
    }
    let weights = projections
        .iter()
        .map(|(projection, _)| projection.weight());
    if takes_gradient(&weights.chain([x]).collect::<Vec<_>>())? {
        let features = before.forward(x)?;
        let each = projections.iter();
        return each
            .map(|(projection, codes)| projection.forward(&features, codes, ctx))
            .collect();
    }
    let (features, owned) = before.value(x)?;
    let Some(((last, last_codes), others)) = projections.split_last() else {
        return Ok(Vec::new());
    };
    let others = others.iter();
    let mut outputs = others
        .map(|(projection, codes)| projection.forward(&features, codes, ctx))
        .collect::<Result<Vec<_>>>()?;
    outputs.push(match last {
        Projection::ModFc(layer) if owned => layer.forward_in_place(features, last_codes, ctx)?,
        _ => last.forward(&features, last_codes, ctx)?,
    });
    Ok(outputs)
}

/// One projection, and the end of the residual branch on `states` that it closes.
///
/// # Shapes
/// - states: `[batch, modules, state]`; x: `[batch, modules, features]`
/// - output: as states
pub(crate) fn project_residual(
    states: &Tensor,
    x: &Tensor,
    before: Preprocess<'_>,
    projection: Coded<'_>,
    residual: &Residual,
    ctx: &mut ForwardContext<'_>,
) -> Result<Tensor> {
    if ctx.has_tape() && residual.only_adds(ctx) {
        return Ok(recorded(x, before, &[projection], Some(states), ctx)?.swap_remove(0));
    }
    let branch = project(x, before, &[projection], ctx)?.swap_remove(0);
    let states = residual.forward(states, branch, ctx)?;
    ctx.detached_leaf(&states)
}

/// [`project`] as a recompute node on the tape of the context, with `added` states added to each result.
///
/// Only for contexts with a tape.
fn recorded(
    x: &Tensor,
    before: Preprocess<'_>,
    projections: &[Coded<'_>],
    added: Option<&Tensor>,
    ctx: &mut ForwardContext<'_>,
) -> Result<Vec<Tensor>> {
    let (features, owned) = before.value(x)?;
    let mut branches = Vec::with_capacity(projections.len());
    for (projection, codes) in projections {
        projection.check(&features, codes)?;
        super::operands::check_within("project", &features, codes)?;
        let plain = |factor| Branch {
            weight: projection.weight().shallow_clone(),
            bias: projection.bias().map(Tensor::shallow_clone),
            factor,
            added: added.map(Tensor::shallow_clone),
        };
        branches.push(match projection {
            Projection::ModFc(layer) => plain(Factor::OfCodes(layer.modulation(codes, ctx)?)),
            Projection::Fc(_) => plain(Factor::One),
            // Demodulation, bias and residual come after the node.
            Projection::WModFc(layer) => Branch {
                bias: None,
                added: None,
                ..plain(Factor::Given(layer.style(codes)?))
            },
        });
    }
    let styles: Vec<Option<Tensor>> = branches.iter().map(Branch::given).collect();
    let Some(tape) = ctx.tape() else {
        unreachable!("both callers check that the context has a tape");
    };
    let outputs = recompute_projection::record(x, before, (features, owned), branches, tape)?;
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
