//! Log link probabilities, sampled in training, normalised over senders.
//!
//! Source: reference `model/nc/kernels.py` (`DotProductKernel`) and PyTorch's `RelaxedBernoulli`, whose steps are
//! written out: probabilities are repeated for every example before their logits are taken.

use nac_modules::Result;
use nac_modules::context::Noise;
use tch::Tensor;

/// Resolution of a float32 below one, `2⁻²³`.
const EPSILON: f64 = 1.192_092_895_507_812_5e-7;
/// Smallest normal float32.
const TINY: f64 = 1.175_494_350_822_287_5e-38;

/// What a sampling layer draws from, and how much it relaxes.
pub(super) struct Sampling<'a> {
    pub(super) noise: &'a mut dyn Noise,
    pub(super) temperature: f64,
}

/// Normalised log links.
///
/// - receivers: `[receivers, signature]`, senders: `[senders, signature]`
/// - result: `[receivers, senders]`, or `[batch, receivers, senders]` if sampled
pub(super) fn log_links(
    (receivers, senders): (&Tensor, &Tensor),
    bandwidth: &Tensor,
    batch: i64,
    name: &str,
    sampling: Option<&mut Sampling<'_>>,
) -> Result<Tensor> {
    let (receivers, senders) = (unit(receivers)?, unit(senders)?);
    let similarity = Tensor::f_einsum("uc,vc->uv", &[receivers, senders], None::<&[i64]>)?;
    let distance = similarity.f_neg()?.f_add_scalar(1.0)?;
    let log = distance.f_div(bandwidth)?.f_neg()?;
    let log = match sampling {
        Some(sampling) => sample(&log, batch, name, sampling)?,
        None => log,
    };
    Ok(log.f_sub(&log.f_logsumexp([-1].as_slice(), true)?)?)
}

/// Rows divided by their length, as PyTorch's `normalize`.
fn unit(signatures: &Tensor) -> Result<Tensor> {
    let length = signatures.f_norm_scalaropt_dim(2, [-1].as_slice(), true)?;
    Ok(signatures.f_div(&length.f_clamp_min(1e-12)?)?)
}

/// Log of a relaxed Bernoulli sample for each example.
fn sample(log: &Tensor, batch: i64, name: &str, sampling: &mut Sampling<'_>) -> Result<Tensor> {
    let size = log.size();
    let size = [batch, size[0], size[1]];
    let raw = log.f_exp()?;
    let correction = tch::no_grad(|| raw.f_clamp(0.0, 1.0)?.f_sub(&raw))?;
    let probability = raw.f_add(&correction)?;
    let inside = |x: &Tensor| x.f_clamp(EPSILON, 1.0 - EPSILON);
    let logit = |x: &Tensor| x.f_log()?.f_sub(&x.f_neg()?.f_log1p()?);
    let probability = inside(&probability.f_expand(size, false)?)?;
    let noise = &mut sampling.noise;
    let uniform = inside(&noise.uniform_per_example(name, &size, log.kind(), log.device())?)?;
    let logits = logit(&uniform)?.f_add(&logit(&probability)?)?;
    let relaxed = logits.f_div_scalar(sampling.temperature)?.f_sigmoid()?;
    Ok(relaxed.f_clamp(TINY, 1.0 - EPSILON)?.f_log()?)
}
