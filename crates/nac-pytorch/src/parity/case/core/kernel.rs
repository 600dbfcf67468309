//! The signature kernel: distances, link probabilities and their logarithms, normalised or not, and sampled from the
//! recorded draws by nac-core.

use std::collections::BTreeMap;

use nac_core::RelaxedBernoulli;
use nac_core::kernel::{cosine_distance, normalize_along_keys};
use nac_core::model::KernelConfig;
use nac_engine::single::SingleLayer;
use ndarray::{Array2, Array3, ArrayView2};
use tch::Tensor;

use super::super::context::{Case, squares};
use super::super::error::{CaseError, CaseResult};
use super::super::kernel::{draw_of, outputs};
use super::arrays::{array_of, input, tensor, weights};

pub(super) fn run(case: &mut Case<'_>, config: &KernelConfig) -> CaseResult<()> {
    let weights = weights(case)?;
    let receivers = input(case, "receiver_signatures")?;
    // A square golden has one set of signatures.
    let senders = match case.has("in.sender_signatures") {
        true => input(case, "sender_signatures")?,
        false => receivers.clone(),
    };
    let layer = SingleLayer::new(&weights);
    let certain = KernelConfig {
        stochastic: false,
        ..config.clone()
    };
    for output in outputs(case) {
        let draw = draw_of(case, &output)
            .map(|name| case.tensor(name))
            .transpose()?;
        // Sampled where a draw was recorded.
        let used = if draw.is_some() { &certain } else { config };
        let mut log = layer.log_links(used, receivers.view(), senders.view())?;
        if let Some(uniforms) = draw {
            log = sampled(config, &log, &array_of("noise", &uniforms)?)?;
        }
        let found = match output.as_str() {
            "distance" => distance(config, &receivers, &senders, log.raw_dim())?,
            "log_kernel" => log.clone(),
            "log_kernel_normalized_keys" => each(&log, |log| normalize_along_keys(log)),
            "kernel" => SingleLayer::links(log.view(), false),
            "kernel_normalized_keys" => SingleLayer::links(log.view(), true),
            other => return Err(CaseError::Unsupported(format!("output = {other}"))),
        };
        let ours = as_recorded(case, &output, tensor(&found)?)?;
        case.check(&format!("out.{output}"), &ours)?;
        case.check_if_recorded(&format!("out.loss.{output}"), &squares(&ours)?)?;
        case.check_gradients(&format!("grad.{output}."), &ours, &BTreeMap::new(), None)?;
    }
    Ok(())
}

/// One relaxed Bernoulli sample of every link for each example.
fn sampled(
    config: &KernelConfig,
    log: &Array3<f32>,
    uniforms: &Array3<f32>,
) -> CaseResult<Array3<f32>> {
    let distribution = RelaxedBernoulli::new(config.temperature)?;
    let mut all = Array3::zeros(uniforms.raw_dim());
    for (example, mut sample) in all.outer_iter_mut().enumerate() {
        let log = log.index_axis(ndarray::Axis(0), example % log.dim().0);
        let uniforms = uniforms.index_axis(ndarray::Axis(0), example);
        sample.assign(&distribution.log_sample(log, uniforms)?);
    }
    Ok(all)
}

/// Without signatures of their own, examples are not told apart in the golden.
fn as_recorded(case: &Case<'_>, output: &str, ours: Tensor) -> CaseResult<Tensor> {
    let recorded = case.golden().tensors.get(&format!("out.{output}"));
    Ok(match recorded.map(Tensor::dim) {
        Some(2) if ours.size()[0] == 1 => ours.f_squeeze_dim(0)?,
        _ => ours,
    })
}

fn each(log: &Array3<f32>, change: impl Fn(ArrayView2<'_, f32>) -> Array2<f32>) -> Array3<f32> {
    let mut changed = log.clone();
    for mut rows in changed.outer_iter_mut() {
        let new = change(rows.view());
        rows.assign(&new);
    }
    changed
}

fn distance(
    config: &KernelConfig,
    receivers: &Array3<f32>,
    senders: &Array3<f32>,
    shape: ndarray::Ix3,
) -> CaseResult<Array3<f32>> {
    let mut all = Array3::zeros(shape);
    for (example, mut rows) in all.outer_iter_mut().enumerate() {
        let of = |array: &Array3<f32>| {
            let index = example % array.dim().0;
            array.index_axis(ndarray::Axis(0), index).to_owned()
        };
        rows.assign(&cosine_distance(of(receivers).view(), of(senders).view())?);
        if config.eliminate_diagonal {
            rows.diag_mut().fill(f32::INFINITY);
        }
    }
    Ok(all)
}
