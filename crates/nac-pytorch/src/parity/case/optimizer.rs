//! Steps of the optimizer: losses of each step, and the weights after the last.
//!
//! The configuration of such a golden says model and optimizer. The objective is the one of the final
//! configuration: cross-entropy and the scale-free prior; the prior's weight is that of the recorded losses.

use crate::settings::ImportedModel;
use nac_core::PriorConfig;
use nac_core::prior::ScaleFree;
use nac_modules::context::{ForwardContext, RecordedNoise};
use nac_modules::model::{Inputs, Model};
use nac_modules::tape::Tape;
use tch::{Kind, Tensor};

use super::super::compare::{Comparison, Direction};
use super::super::magnitude::largest_finite;
use super::context::Case;
use super::error::{CaseError, CaseResult};
use super::model::{build, spec};
use super::settings::Settings;
use nac_train::config::OptimizerConfig;
use nac_train::loss::{CrossEntropy, GraphPriorLoss, LossContext, LossTerm};
use nac_train::optim::{AdamW, Optimizer as _};

/// A gradient below this share of the largest one is rounding noise: Adam turns it into full steps all the same.
const NOISE: f64 = 1e-6;
/// Adam divides by the size of gradients, so noise grows from step to step: more multiples of the floor for weights.
const STEPS: f64 = 6.0;
const OPTIMIZER: &str = "torch.optim.AdamW";
/// The rule of [`nac_train::optim::decays`] in the reference's words.
const DECAY_RULE: &str = "dim<=1 or endswith bias/signatures_/grid";

pub(super) fn run(case: &mut Case<'_>, imported: &ImportedModel) -> CaseResult<()> {
    let (config, rate) = optimizer(case)?;
    let model = build(case, imported)?;
    let weight = prior_weight(case)?;
    let mut optimizer = AdamW::new(&config);
    let mut cross_entropy = CrossEntropy::new(0.0);
    let prior = PriorConfig::ScaleFree(ScaleFree::default());
    let mut regularizer = GraphPriorLoss::new(prior.build(), weight, 1);

    let (images, targets) = (case.tensor("in.image")?, case.tensor("in.targets")?);
    let steps = images.size()[0];
    let names: Vec<String> = model
        .params()
        .parameters()
        .map(|(name, _)| name.to_owned())
        .collect();
    let mut largest = vec![0.0_f64; names.len()];
    let mut losses: [Vec<f64>; 3] = Default::default();
    for step in 0..steps {
        let mut noise = noise(case, step)?;
        let inputs = Inputs::image(images.f_get(step)?);
        let classes = targets.f_get(step)?;
        let mut tape = Tape::new();
        let mut ctx = ForwardContext::training(&mut noise);
        if let Some(executor) = case.executor() {
            ctx = ctx.with_tape(&mut tape).with_fused(executor);
        }
        let output = model.forward(&inputs, &mut ctx)?;
        drop(ctx);
        if noise.remaining() > 0 {
            return Err(CaseError::Different(format!(
                "step {step}: draws were not asked for"
            )));
        }
        let context = LossContext {
            output: &output,
            targets: &classes,
            model: model.as_ref(),
            step: step as u64,
        };
        let (ce, reg) = (
            cross_entropy.compute(&context)?,
            regularizer.compute(&context)?,
        );
        let loss = ce.f_add(&reg.f_mul_scalar(weight)?)?;
        for (all, value) in losses.iter_mut().zip([&ce, &reg, &loss]) {
            all.push(value.f_double_value(&[])?);
        }
        let parameters: Vec<&Tensor> = model.params().parameters().map(|(_, t)| t).collect();
        let gradients = tape.backward(&loss, &parameters)?;
        for (largest, gradient) in largest.iter_mut().zip(&gradients) {
            if gradient.defined() {
                *largest = largest.max(largest_finite(gradient)?);
            }
        }
        optimizer.step(model.params(), &gradients, rate)?;
    }
    for (name, values) in ["ce", "reg", "loss"].into_iter().zip(&losses) {
        case.check_if_recorded(
            &format!("out.{name}_per_step"),
            &Tensor::f_from_slice(values)?,
        )?;
    }
    case.expect_fused(&spec(case, imported)?)?;
    check_finals(case, model.as_ref(), &names, &largest, rate * steps as f64)
}

/// Compares the weights after the last step. `largest` has the greatest gradient of each of `names`, `path` how far a
/// weight can have gone.
fn check_finals(
    case: &mut Case<'_>,
    model: &dyn Model,
    names: &[String],
    largest: &[f64],
    path: f64,
) -> CaseResult<()> {
    let noise = NOISE * largest.iter().copied().fold(0.0, f64::max);
    let untrained = |name: &str| names.iter().position(|n| n == name).map(|i| largest[i]);
    let finals: Vec<String> = case
        .golden()
        .below("out.final.")
        .map(|(n, _)| n.to_owned())
        .collect();
    for name in finals {
        let full = format!("out.final.{name}");
        let ours = model.params().get(&name).map(Tensor::detach);
        let ours =
            ours.ok_or_else(|| CaseError::Different(format!("there is nothing called `{name}`")))?;
        match untrained(&name) {
            Some(gradient) if gradient > 0.0 && gradient < noise => {
                case.add(drift(case, &full, &ours, 2.0 * path)?);
            }
            _ => {
                let margin = if case.kind() == Kind::Double {
                    0.0
                } else {
                    STEPS * case.floor(&full)
                };
                case.check_with_room(&full, &ours, margin)?;
            }
        }
    }
    Ok(())
}

/// A parameter whose gradient is rounding noise: each side may have drifted by a full step each time.
fn drift(case: &Case<'_>, name: &str, ours: &Tensor, allowed: f64) -> CaseResult<Comparison> {
    let recorded = case.tensor(name)?;
    Ok(Comparison {
        tensor: name.to_owned(),
        direction: Direction::Forward,
        error: largest_finite(&ours.f_sub(&recorded)?)?,
        allowed,
        largest: largest_finite(&recorded)?,
        problem: None,
    })
}

fn optimizer(case: &Case<'_>) -> CaseResult<(OptimizerConfig, f64)> {
    let all = Settings::new(case.golden().config());
    let settings = all
        .object("optimizer")?
        .ok_or_else(|| all.missing("optimizer"))?;
    for (key, known) in [("name", OPTIMIZER), ("no_decay_filter", DECAY_RULE)] {
        match settings.word(key)? {
            Some(value) if value != known => {
                return Err(CaseError::unsupported(
                    &format!("optimizer.{key}"),
                    format!("{value:?}"),
                ));
            }
            _ => {}
        }
    }
    let mut config = OptimizerConfig::default();
    let number = |key: &str, default: f64| -> CaseResult<f64> {
        Ok(settings.number(key)?.unwrap_or(default))
    };
    let defaults = (1e-3, 1e-8, 0.01); // those of PyTorch
    let rate = number("lr", defaults.0)?;
    (config.eps, config.weight_decay) = (
        number("eps", defaults.1)?,
        number("weight_decay", defaults.2)?,
    );
    config.betas = [0.9, 0.999];
    if let Some(value) = settings.get("betas") {
        let betas: Option<Vec<f64>> = value
            .as_array()
            .map(|all| all.iter().filter_map(|b| b.as_f64()).collect());
        config.betas = match betas.as_deref() {
            Some(&[first, second]) => [first, second],
            _ => return Err(settings.refuse("betas", value)),
        };
    }
    settings.finish()?;
    Ok((config, rate))
}

/// `(loss − ce) / reg` of the first step, to three digits.
fn prior_weight(case: &Case<'_>) -> CaseResult<f64> {
    let first = |name: &str| -> CaseResult<f64> {
        let values = case
            .tensor(&format!("out.{name}_per_step"))?
            .f_to_kind(Kind::Double)?;
        Ok(values.f_reshape([-1_i64])?.f_double_value(&[0])?)
    };
    let weight = (first("loss")? - first("ce")?) / first("reg")?;
    Ok((weight * 1e3).round() / 1e3)
}

fn noise(case: &Case<'_>, step: i64) -> CaseResult<RecordedNoise> {
    let prefix = format!("noise.step{step}.");
    let names = case.golden().metadata.noise_in_call_order.iter();
    let draws = names
        .filter(|name| name.starts_with(&prefix))
        .map(|name| case.tensor(name));
    Ok(RecordedNoise::new(draws.collect::<CaseResult<Vec<_>>>()?))
}
