//! Projections (`FC`, `ModFC`, `WModFC`) and the feed-forward block (`ModFFN`).

use crate::settings::{ImportedFfn, ImportedProjection};
use nac_modules::layer::{DropPath, ModFcConfig, ModFfn, Projection};

use super::context::Case;
use super::error::CaseResult;

pub(super) fn projection(case: &mut Case<'_>, imported: &ImportedProjection) -> CaseResult<()> {
    let mut store = case.store();
    let layer = Projection::new(
        store.root(),
        imported.in_dim,
        imported.out_dim,
        imported.code_dim,
        imported.bias,
        &imported.config,
    )?;
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

pub(super) fn ffn(case: &mut Case<'_>, imported: &ImportedFfn) -> CaseResult<()> {
    let mut store = case.store();
    let layer = ModFfn::new(
        store.root(),
        imported.state_dim,
        imported.code_dim,
        &imported.config,
        &ModFcConfig::default(),
        DropPath::new("drop_path", imported.drop_path)?,
    )?;
    case.load(&mut store)?;
    let inputs = case.inputs()?;
    let (states, codes) = (case.of(&inputs, "states")?, case.of(&inputs, "codes")?);
    let y = layer.forward(states, codes, &mut case.pass())?;
    case.noise_is_used()?;
    case.check_squares(&[("y", &y)], &inputs, Some(&store))
}
