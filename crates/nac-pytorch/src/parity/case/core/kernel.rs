//! The signature kernel: distances, link probabilities and their logarithms, normalised or not.

use std::collections::BTreeMap;

use nac_core::kernel::{cosine_distance, normalize_along_keys};
use nac_core::model::KernelConfig;
use nac_engine::single::SingleLayer;
use ndarray::{Array2, Array3, ArrayView2};
use tch::Tensor;

use super::super::context::{Case, squares};
use super::super::kernel::outputs;
use super::super::stop::{Run, Stop};
use super::arrays::{input, tensor, weights};

pub(super) fn run(case: &mut Case<'_>, config: &KernelConfig) -> Run<()> {
    let weights = weights(case)?;
    let receivers = input(case, "receiver_signatures")?;
    // A square recording has one set of signatures.
    let senders = match case.has("in.sender_signatures") {
        true => input(case, "sender_signatures")?,
        false => receivers.clone(),
    };
    let layer = SingleLayer::new(&weights);
    let log = layer.log_links(config, receivers.view(), senders.view())?;
    case.noise_is_used()?;
    for output in outputs(case) {
        let found = match output.as_str() {
            "distance" => distance(config, &receivers, &senders, log.raw_dim())?,
            "log_kernel" => log.clone(),
            "log_kernel_normalized_keys" => each(&log, |log| normalize_along_keys(log)),
            "kernel" => SingleLayer::links(log.view(), false),
            "kernel_normalized_keys" => SingleLayer::links(log.view(), true),
            other => return Err(Stop::Unsupported(format!("output = {other}"))),
        };
        let ours = as_recorded(case, &output, tensor(&found)?)?;
        case.check(&format!("out.{output}"), &ours)?;
        case.check_if_recorded(&format!("out.loss.{output}"), &squares(&ours)?)?;
        case.check_gradients(&format!("grad.{output}."), &ours, &BTreeMap::new(), None)?;
    }
    Ok(())
}

/// Without signatures of their own, examples are not told apart in the recording.
fn as_recorded(case: &Case<'_>, output: &str, ours: Tensor) -> Run<Tensor> {
    let recorded = case.recording().tensors.get(&format!("out.{output}"));
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
) -> Run<Array3<f32>> {
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
