//! Both ends of a model: tokenizer and positional grid, pooling and first slot.

use crate::settings::{ImportedGrid, ImportedTokenizer};
use nac_core::model::spec::HeadSpec;
use nac_core::model::{InputSpec, ModelConfig};
use nac_engine::Inputs;
use nac_engine::single::SingleLayer;
use ndarray::Array4;

use super::super::context::Case;
use super::super::error::CaseResult;
use super::arrays::{check, image, input, weights};

pub(super) fn tokenizer(case: &mut Case<'_>, imported: &ImportedTokenizer) -> CaseResult<()> {
    let weights = weights(case)?;
    let image = image(case, "image")?;
    let (_, _, height, width) = image.dim();
    let spec = InputSpec::image(imported.channels, height, width);
    let config = ModelConfig {
        convnext: imported.config.clone(),
        ..ModelConfig::default()
    };
    let layer = SingleLayer::new(&weights);
    let tokens = layer.tokens(&spec, &config, &Inputs::image(image.view()))?;
    check(case, "tokens", &tokens)
}

pub(super) fn grid(case: &mut Case<'_>, imported: &ImportedGrid) -> CaseResult<()> {
    let weights = weights(case)?;
    let [height, width] = imported.size;
    let layer = SingleLayer::new(&weights);
    let grid = layer.positional_grid(imported.dim, (height, width), (height, width))?;
    let shape = (imported.batch_size, imported.dim, height, width);
    let batched = Array4::from_shape_fn(shape, |(_, c, y, x)| grid[[c, y, x]]);
    check(case, "grid", &batched)
}

pub(super) fn head(case: &mut Case<'_>, spec: &HeadSpec) -> CaseResult<()> {
    let weights = weights(case)?;
    let mut states = input(case, "states")?;
    if case.tensor("in.states")?.dim() == 2 {
        // Examples without modules: each has one.
        states.swap_axes(0, 1);
    }
    let states = states.as_standard_layout();
    let logits = SingleLayer::new(&weights).head(spec, states.view())?;
    check(case, "logits", &logits)
}
