//! Whole models with cross-entropy, and with the training objective.

use std::collections::BTreeMap;

use crate::settings::ImportedModel;
use nac_core::PriorConfig;
use nac_core::model::InputSpec;
use nac_core::model::spec::ModelSpec;
use nac_modules::model::{Model, ModelOutput};
use nac_modules::params::ParamStore;
use tch::Tensor;

use super::circuit::STATES;
use super::context::{Case, model_inputs};
use super::error::{CaseError, CaseResult};
use super::matching::check_assignment;
use nac_train::loss::{CrossEntropy, GraphPriorLoss, LossContext, LossTerm, PriorDistance};

pub(super) const IMAGE: &str = "image";
const TARGETS: &str = "targets";

/// A term of the objective besides cross-entropy: a graph prior with its weight.
pub(super) struct Prior {
    pub(super) config: PriorConfig,
    pub(super) distance: PriorDistance,
    pub(super) weight: f64,
}

pub(super) fn build(case: &Case<'_>, imported: &ImportedModel) -> CaseResult<Box<dyn Model>> {
    let [height, width] = image_size(case)?;
    let mut model = imported.build(case.store(), height, width)?;
    case.load(model.params_mut())?;
    Ok(model)
}

/// The resolved model.
pub(super) fn spec(case: &Case<'_>, imported: &ImportedModel) -> CaseResult<ModelSpec> {
    let [height, width] = image_size(case)?;
    let inputs = InputSpec::image(imported.channels, height, width);
    Ok(imported.config.resolve(&inputs, imported.classes)?)
}

fn image_size(case: &Case<'_>) -> CaseResult<[usize; 2]> {
    // The last three dimensions: training steps may come before the batch.
    let dims = case.golden().tensors.get("in.image").map_or(0, |t| t.dim());
    let at = |from_the_end: usize| {
        dims.checked_sub(from_the_end)
            .ok_or_else(|| CaseError::Broken("`in.image` is no image".into()))
    };
    Ok([
        case.input_size(IMAGE, at(2)?)?,
        case.input_size(IMAGE, at(1)?)?,
    ])
}

pub(super) fn classifier(case: &mut Case<'_>, imported: &ImportedModel) -> CaseResult<()> {
    let model = build(case, imported)?;
    let inputs = case.inputs()?;
    let output = forward(case, model.as_ref(), &inputs)?;
    check_cross_entropy(case, &output.logits, &inputs, Some(model.params()))?;
    case.expect_fused(&spec(case, imported)?)
}

/// Compares the loss of these logits, and its gradients.
pub(super) fn check_cross_entropy(
    case: &mut Case<'_>,
    logits: &Tensor,
    inputs: &BTreeMap<String, Tensor>,
    store: Option<&ParamStore>,
) -> CaseResult<()> {
    let loss = logits.f_cross_entropy_loss::<Tensor>(
        case.of(inputs, TARGETS)?,
        None,
        tch::Reduction::Mean,
        -100,
        0.0,
    )?;
    case.check_if_recorded("out.loss", &loss)?;
    case.check_gradients("grad.", &loss, inputs, store)
}

pub(super) fn objective(
    case: &mut Case<'_>,
    imported: &ImportedModel,
    prior: &Prior,
) -> CaseResult<()> {
    let model = build(case, imported)?;
    let inputs = case.inputs()?;
    let output = forward(case, model.as_ref(), &inputs)?;
    let mut regularizer =
        GraphPriorLoss::new(prior.config.build(), prior.weight, 1).with_distance(prior.distance);
    if case.has("out.assignment_input_idx") {
        let graph = output.graphs().next();
        let graph = graph.ok_or_else(|| CaseError::Different("no graph of signatures".into()))?;
        let links = graph.link_probabilities()?;
        let assignment = check_assignment(case, "", &prior.config, &links, None)?;
        regularizer = regularizer.with_assignment(assignment);
    }
    let context = LossContext {
        output: &output,
        targets: case.of(&inputs, TARGETS)?,
        model: model.as_ref(),
        step: 0,
    };
    let cross_entropy = CrossEntropy::new(0.0).compute(&context)?;
    let sparsity = regularizer.compute(&context)?;
    let loss = cross_entropy.f_add(&sparsity.f_mul_scalar(regularizer.weight())?)?;
    for (name, value) in [
        ("out.loss_classification", &cross_entropy),
        ("out.loss_graph_sparsity", &sparsity),
        ("out.loss_total", &loss),
        ("out.loss", &loss),
    ] {
        case.check_if_recorded(name, value)?;
    }
    case.check_gradients("grad.", &loss, &inputs, Some(model.params()))?;
    case.expect_fused(&spec(case, imported)?)
}

/// Output in the recorded mode; compares logits and the recorded states on the way.
fn forward(
    case: &mut Case<'_>,
    model: &dyn Model,
    inputs: &BTreeMap<String, Tensor>,
) -> CaseResult<ModelOutput> {
    let image = case.of(inputs, IMAGE)?.shallow_clone();
    let image = model_inputs(&[(IMAGE.to_owned(), image)].into());
    let output = model.forward(&image, &mut case.pass().with_intermediates())?;
    case.noise_is_used()?;
    for (theirs, ours) in STATES {
        if let Some(tensor) = output.intermediates.get(ours) {
            case.check_if_recorded(&format!("out.{theirs}"), tensor)?;
        }
    }
    case.check("out.logits", &output.logits)?;
    Ok(output)
}
