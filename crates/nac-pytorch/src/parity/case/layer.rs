//! Projections (`FC`, `ModFC`, `WModFC`) and the feed-forward block (`ModFFN`).

use nac_core::model::spec::{ModFfnSpec, ProjectionSpec};
use nac_modules::layer::{ModFfn, Projection};

use super::context::Case;
use super::error::CaseResult;

pub(super) fn projection(case: &mut Case<'_>, spec: &ProjectionSpec) -> CaseResult<()> {
    let mut store = case.store();
    let layer = Projection::new(&mut store.root(), spec)?;
    case.load(&mut store)?;
    let inputs = case.inputs()?;
    let y = layer.forward(
        case.of(&inputs, "x")?,
        case.of(&inputs, "context")?,
        &mut case.pass(),
    )?;
    case.noise_is_used()?;
    case.check_squares(&[("y", &y)], &inputs, Some(&store))
}

pub(super) fn ffn(case: &mut Case<'_>, spec: &ModFfnSpec) -> CaseResult<()> {
    let mut store = case.store();
    let layer = ModFfn::new(&mut store.root(), spec)?;
    case.load(&mut store)?;
    let inputs = case.inputs()?;
    let (states, codes) = (case.of(&inputs, "states")?, case.of(&inputs, "codes")?);
    let y = layer.forward(states, codes, &mut case.pass())?;
    case.noise_is_used()?;
    let batched = states.dim() == 3;
    case.check_squares(&[("y", &y)], &inputs, Some(&store))?;
    if batched {
        case.expect_fused(spec)?;
    }
    Ok(())
}
