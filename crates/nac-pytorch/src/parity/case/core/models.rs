//! A circuit without tokenizer and head, and whole models with cross-entropy.

use std::collections::BTreeMap;

use crate::settings::ImportedModel;
use nac_core::model::spec::CircuitSpec;
use nac_core::model::{InputSpec, ModelFile, ModelKind, OutputSpec};
use nac_engine::single::SingleLayer;
use nac_engine::{CoreEngine, EngineOptions, Inputs};
use ndarray::Array3;
use tch::Tensor;

use super::super::circuit::recorded_states;
use super::super::context::Case;
use super::super::error::CaseResult;
use super::super::model::{IMAGE, check_cross_entropy};
use super::arrays::{check_all, image, input, tensor, weights};

pub(super) fn circuit(case: &mut Case<'_>, spec: &CircuitSpec) -> CaseResult<()> {
    let weights = weights(case)?;
    let tokens = input(case, "inputs")?;
    let states = SingleLayer::new(&weights).circuit(spec, tokens.view())?;
    let states = tensors(&states)?;
    let outputs = recorded_states(case, &states)?;
    check_all(case, &outputs)
}

pub(super) fn classifier(case: &mut Case<'_>, imported: &ImportedModel) -> CaseResult<()> {
    let weights = weights(case)?;
    let image = image(case, IMAGE)?;
    let (_, _, height, width) = image.dim();
    let file = ModelFile {
        output: OutputSpec::classes(imported.classes),
        inputs: InputSpec::image(imported.channels, height, width),
        preprocessing: Default::default(),
        model: imported.config.clone(),
    };
    let one = EngineOptions {
        threads: 1,
        ..EngineOptions::default()
    };
    let engine = CoreEngine::new(file, &weights, one)?;
    let (logits, states) = engine.infer_with_states(&Inputs::image(image.view()))?;
    case.noise_is_used()?;
    if imported.config.kind == ModelKind::Nac {
        let states = tensors(&states)?;
        for (name, found) in recorded_states(case, &states)? {
            case.check(&format!("out.{name}"), found)?;
        }
    }
    let logits = tensor(&logits)?;
    case.check("out.logits", &logits)?;
    check_cross_entropy(case, &logits, &case.inputs()?, None)
}

fn tensors(states: &BTreeMap<String, Array3<f32>>) -> CaseResult<BTreeMap<String, Tensor>> {
    let each = states.iter();
    each.map(|(name, states)| Ok((name.clone(), tensor(states)?)))
        .collect()
}
