//! Goldens on nac-engine, which computes values in evaluation and no gradients.
//!
//! Layers and models are built from the same configurations as on libtorch and held to the same tolerances. What
//! nac-core computes anyway (graphs, graphons, presets) has one runner for both engines.

mod arrays;
mod ends;
mod kernel;
mod latents;
mod layer;
mod models;
mod modules;

use crate::settings::Imported;

use super::super::golden::Mode;
use super::context::Case;
use super::error::{CaseError, CaseResult};

/// Why something is not run: training, or a term of the loss.
const EVALUATION_ONLY: &str = "engine core runs evaluation only";

/// An error if the golden was made in training.
pub(super) fn expect_evaluation(case: &Case<'_>) -> CaseResult<()> {
    match case.golden().metadata.mode {
        Mode::Eval => Ok(()),
        Mode::Train => Err(CaseError::Unsupported(format!(
            "mode = train: {EVALUATION_ONLY}"
        ))),
    }
}

/// The end of a golden of something that belongs to training.
pub(super) fn only_in_training(what: &str) -> CaseResult<()> {
    Err(CaseError::Unsupported(format!("{what}: {EVALUATION_ONLY}")))
}

fn only_classifiers(what: &str) -> CaseResult<()> {
    let text = "engine core runs a Perceiver IO with its own query and without a mask";
    Err(CaseError::Unsupported(format!("{what}: {text}")))
}

/// Chooses the runner.
pub(super) fn run(case: &mut Case<'_>, imported: &Imported) -> CaseResult<()> {
    // The kernel's samples are nac-core's own.
    if !matches!(imported, Imported::Kernel(_)) {
        expect_evaluation(case)?;
    }
    match imported {
        Imported::Projection(imported) => layer::projection(case, imported),
        Imported::Ffn(imported) => layer::feed_forward(case, imported),
        Imported::Kernel(config) => kernel::run(case, config),
        Imported::Attention(imported) => modules::attention(case, imported),
        Imported::ReadInAttention(imported) => modules::read_in_attention(case, imported),
        Imported::ReadIn(imported) => modules::read_in(case, imported),
        Imported::Propagator(imported) => modules::propagator(case, imported),
        Imported::ReadOut(imported) => modules::read_out(case, imported),
        Imported::Latents(imported) => latents::latents(case, imported),
        Imported::SeededLatents(imported) => latents::seeded(case, imported),
        Imported::Tokenizer(imported) => ends::tokenizer(case, imported),
        Imported::Grid(imported) => ends::grid(case, imported),
        Imported::Head(imported) => ends::head(case, imported),
        Imported::Circuit(imported) => models::circuit(case, imported),
        Imported::PerceiverIo(_) => {
            only_classifiers("a Perceiver IO that is no classifier of images")
        }
        Imported::Model(_) if case.has("in.queries") => only_classifiers("in.queries"),
        Imported::Model(_) if case.has("in.mask") => only_classifiers("in.mask"),
        Imported::Model(imported) => models::classifier(case, imported),
    }
}
