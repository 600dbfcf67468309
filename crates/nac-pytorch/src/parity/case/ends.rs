//! Both ends of a model: tokenizer and positional grid, pooling and first slot.

use crate::settings::{ImportedGrid, ImportedHead, ImportedTokenizer};
use nac_modules::head::{ConfidencePooling, FirstSlot};
use nac_modules::layer::PositionalGrid;
use nac_modules::tokenizer::{ConvNextTokenizer, Tokenizer};

use super::context::{Case, model_inputs};
use super::error::CaseResult;

pub(super) fn tokenizer(case: &mut Case<'_>, imported: &ImportedTokenizer) -> CaseResult<()> {
    let mut store = case.store();
    let (height, width) = (case.input_size("image", 2)?, case.input_size("image", 3)?);
    let tokenizer = ConvNextTokenizer::new(
        store.root(),
        imported.channels,
        height,
        width,
        &imported.config,
    )?;
    case.load(&mut store)?;
    let inputs = case.inputs()?;
    let tokens = tokenizer.tokenize(&model_inputs(&inputs), &mut case.pass())?;
    case.noise_is_used()?;
    case.check_squares(&[("tokens", tokens.values())], &inputs, Some(&store))
}

pub(super) fn grid(case: &mut Case<'_>, imported: &ImportedGrid) -> CaseResult<()> {
    let mut store = case.store();
    let [height, width] = imported.size;
    let grid = PositionalGrid::new(store.root(), imported.dim, height, width)?;
    case.load(&mut store)?;
    let size = |n: usize| i64::try_from(n).unwrap_or(0);
    let y = grid.forward(size(imported.batch_size), size(height), size(width))?;
    case.check_squares(&[("grid", &y)], &case.inputs()?, Some(&store))
}

pub(super) fn head(case: &mut Case<'_>, imported: &ImportedHead) -> CaseResult<()> {
    let mut store = case.store();
    let inputs = case.inputs()?;
    let states = case.of(&inputs, "states")?;
    let logits = match (imported.state_dim, imported.classes) {
        (Some(dim), Some(classes)) => {
            let head =
                ConfidencePooling::with_config(store.root(), dim, classes, &imported.config)?;
            case.load(&mut store)?;
            head.forward(states, &mut case.pass())?
        }
        _ => FirstSlot.forward(states)?,
    };
    case.noise_is_used()?;
    case.check_squares(&[("logits", &logits)], &inputs, Some(&store))
}
