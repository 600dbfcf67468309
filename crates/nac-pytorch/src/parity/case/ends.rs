//! Both ends of a model: tokenizer and positional grid, pooling and first slot.

use crate::settings::{ImportedGrid, ImportedTokenizer};
use nac_core::model::spec::HeadSpec;
use nac_modules::head::{ConfidencePooling, FirstSlot};
use nac_modules::layer::PositionalGrid;
use nac_modules::tokenizer::{ConvNextTokenizer, Tokenizer};

use super::context::{Case, model_inputs};
use super::error::CaseResult;

pub(super) fn tokenizer(case: &mut Case<'_>, imported: &ImportedTokenizer) -> CaseResult<()> {
    let mut store = case.store();
    let (height, width) = (case.input_size("image", 2)?, case.input_size("image", 3)?);
    let size = [imported.channels, height, width];
    let spec = imported.config.resolve("", size)?;
    let tokenizer = ConvNextTokenizer::new(&mut store.root(), &spec)?;
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

pub(super) fn head(case: &mut Case<'_>, spec: &HeadSpec) -> CaseResult<()> {
    let mut store = case.store();
    let inputs = case.inputs()?;
    let states = case.of(&inputs, "states")?;
    let logits = match spec {
        HeadSpec::ConfidencePooling(spec) => {
            let head = ConfidencePooling::new(&mut store.root(), spec)?;
            case.load(&mut store)?;
            head.forward(states, &mut case.pass())?
        }
        HeadSpec::FirstSlot => FirstSlot.forward(states)?,
    };
    case.noise_is_used()?;
    case.check_squares(&[("logits", &logits)], &inputs, Some(&store))
}
