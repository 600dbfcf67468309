//! Presets: loss and gradient at the recorded start, and the whole trajectory of Adam.

use nac_core::graph::signature_fit::{FitObjective, FitTarget, fit_signatures};
use tch::Tensor;

use super::context::Case;
use super::error::CaseResult;
use super::graph::{adjacency, generator, matrix};
use super::settings::Settings;

/// Multiples of the floors that stand in the configuration, as of those that stand beside their tensors.
const NOISE: f64 = 4.0;

/// Metadata about the recorded run, and what only networkx needs.
const WITHOUT_EFFECT: [&str; 7] = [
    "signature_dim",
    "optimizer",
    "final_score",
    "loss_first",
    "loss_last",
    "n",
    "seed",
];

pub(super) fn run(case: &mut Case<'_>) -> CaseResult<()> {
    let settings = Settings::new(case.golden().config());
    settings.ignore(&WITHOUT_EFFECT);
    let modules = settings.required_count("num_latents")?;
    generator(&settings, modules)?;
    let objective = if settings.flag("use_hinge_loss")?.unwrap_or(true) {
        FitObjective::Hinge
    } else {
        FitObjective::Mse
    };
    let number = |key| settings.number(key);
    let truncation = number("truncation")?.ok_or_else(|| settings.missing("truncation"))?;
    let rate = number("learning_rate")?.ok_or_else(|| settings.missing("learning_rate"))?;
    let iterations = settings
        .count("num_iters")?
        .ok_or_else(|| settings.missing("num_iters"))?;
    let room_at_the_end = NOISE * number("f64_final_signature_max_err")?.unwrap_or(0.0);
    let room_of_gradient = NOISE * number("f64_grad0_max_err")?.unwrap_or(0.0);
    settings.finish()?;

    let graph = adjacency(&case.tensor("in.adjacency")?)?;
    let target = FitTarget::new(&graph, objective, truncation)?;
    let start = matrix(&case.tensor("in.initial_signatures")?)?;
    let (loss, gradient) = target.loss_and_gradient(start.view())?;
    let scalar = |value: f64| Tensor::from(value);
    let rows = |array: &ndarray::Array2<f64>| -> CaseResult<Tensor> {
        let values: Vec<f64> = array.iter().copied().collect();
        let shape = [array.nrows() as i64, array.ncols() as i64];
        Ok(Tensor::f_from_slice(&values)?.f_view(shape)?)
    };
    case.check("out.loss0", &scalar(loss))?;
    case.check_with_room(
        "grad.in.initial_signatures",
        &rows(&gradient)?,
        room_of_gradient,
    )?;
    let fit = fit_signatures(start, &target, iterations, rate)?;
    // What the signatures may drift apart, the losses may: a distance moves by no more than its two ends.
    let losses = Tensor::f_from_slice(&fit.losses)?;
    case.check_with_room("out.loss_per_iter", &losses, room_at_the_end)?;
    if case.has("out.final_signatures") {
        case.check_with_room(
            "out.final_signatures",
            &rows(&fit.signatures)?,
            room_at_the_end,
        )?;
    }
    if case.has("out.final_score") {
        case.check_with_room("out.final_score", &scalar(fit.score), room_at_the_end)?;
    }
    Ok(())
}
