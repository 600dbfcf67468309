//! The signature kernel: distances, link probabilities and their logarithms, normalised or not, sampled or not.
//!
//! Each recorded output has a loss, gradients and random draws of its own.

use nac_modules::attention::{KernelConfig, SignatureKernel, normalize_links, normalize_log_links};
use tch::Tensor;

use super::context::{Case, squares};
use super::error::{CaseError, CaseResult};

pub(super) fn run(case: &mut Case<'_>, config: &KernelConfig) -> CaseResult<()> {
    for output in outputs(case) {
        one(case, config, &output)?;
    }
    Ok(())
}

/// Names of the recorded outputs.
pub(super) fn outputs(case: &Case<'_>) -> Vec<String> {
    let recorded = case.golden().below("out.");
    recorded
        .filter(|(name, _)| !name.starts_with("loss"))
        .map(|(name, _)| name.to_owned())
        .collect()
}

fn one(case: &mut Case<'_>, config: &KernelConfig, output: &str) -> CaseResult<()> {
    let mut store = case.store();
    let kernel = SignatureKernel::new(&mut store.root(), &config.resolve("")?)?;
    case.load(&mut store)?;
    case.replay(|name| drawn_for(name) == Some(output))?;
    let draw = draw_of(case, output).and_then(|name| case.golden().tensors.get(name));
    let batch = draw
        .map(Tensor::size)
        .filter(|size| size.len() == 3)
        .map(|size| size[0]);

    let inputs = case.inputs()?;
    let receivers = case.of(&inputs, "receiver_signatures")?;
    // A square golden has one set of signatures.
    let senders = inputs.get("sender_signatures").unwrap_or(receivers);
    let mut ctx = case.pass();
    let ours = match output {
        "distance" => kernel.distance(receivers, senders)?,
        "log_kernel" => kernel.log_links(receivers, senders, batch, &mut ctx)?,
        "log_kernel_normalized_keys" => {
            normalize_log_links(&kernel.log_links(receivers, senders, batch, &mut ctx)?)
        }
        "kernel" => kernel.links(receivers, senders, batch, &mut ctx)?,
        "kernel_normalized_keys" => {
            normalize_links(&kernel.links(receivers, senders, batch, &mut ctx)?)
        }
        other => return Err(CaseError::Unsupported(format!("output = {other}"))),
    };
    case.noise_is_used()?;
    case.check(&format!("out.{output}"), &ours)?;
    let loss = squares(&ours)?;
    case.check_if_recorded(&format!("out.loss.{output}"), &loss)?;
    case.check_gradients(&format!("grad.{output}."), &loss, &inputs, Some(&store))
}

/// The draw that was made for an output.
pub(super) fn draw_of<'r>(case: &Case<'r>, output: &str) -> Option<&'r str> {
    let names = case.golden().metadata.noise_in_call_order.iter();
    names
        .map(String::as_str)
        .find(|name| drawn_for(name) == Some(output))
}

/// The output for which a draw was made: `noise.u_<output>.rand`.
fn drawn_for(name: &str) -> Option<&str> {
    let name = name.strip_prefix("noise.")?.split('.').next()?;
    name.split_once('_').map(|(_, output)| output)
}
