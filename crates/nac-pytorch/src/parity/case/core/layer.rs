//! Projections and the feed-forward block.

use crate::settings::{ImportedFfn, ImportedProjection};
use nac_engine::single::SingleLayer;

use super::super::context::Case;
use super::super::stop::Run;
use super::arrays::{check, input, weights};

pub(super) fn projection(case: &mut Case<'_>, imported: &ImportedProjection) -> Run<()> {
    let weights = weights(case)?;
    let (x, codes) = (input(case, "x")?, input(case, "context")?);
    let outputs = (imported.out_dim, imported.bias);
    let layer = SingleLayer::new(&weights);
    let y = layer.projection(&imported.config, outputs, x.view(), codes.view())?;
    check(case, "y", &y)
}

pub(super) fn feed_forward(case: &mut Case<'_>, imported: &ImportedFfn) -> Run<()> {
    let weights = weights(case)?;
    let (states, codes) = (input(case, "states")?, input(case, "codes")?);
    let layer = SingleLayer::new(&weights);
    let y = layer.feed_forward(&imported.config, states.view(), codes.view())?;
    check(case, "y", &y)
}
