//! Relaxed Bernoulli sampling of links, in log space, differentiable.
//!
//! `l = (log u − log(1 − u) + log p − log(1 − p)) / τ`, sample `σ(l)`, result `log σ(l)`, with `σ(l)` between the
//! smallest normal number and `1 − ε`. `p` is clamped to `[0, 1]` with a straight-through gradient, then `p` and `u`
//! to `[ε, 1 − ε]` with `ε = 2⁻²³`, which does stop the gradient. Source: Concrete distribution (arXiv 1611.00712)
//! as PyTorch's `RelaxedBernoulli` computes it. [`nac_core::sampling`] has the same on plain arrays.
//!
//! The logit of `p` does not depend on the example: it is taken once. With a tape nothing is kept for the backward
//! pass but the result: `∇l = ∇y (1 − eʸ)`.

use tch::{Kind, Tensor};

use crate::context::ForwardContext;
use crate::error::Result;

/// Resolution of a float32 below one, `2⁻²³`.
const EPSILON: f64 = 1.192_092_895_507_812_5e-7;
/// Smallest normal float32.
const TINY: f64 = 1.175_494_350_822_287_5e-38;

/// Logarithms of relaxed link samples.
///
/// # Shapes
/// - log_probability: `[receivers, senders]` or `[batch, receivers, senders]`
/// - uniform: `[batch, receivers, senders]`, in `[0, 1)`
/// - output: as uniform, in at least single precision
///
/// # Errors
/// The shapes do not fit.
pub fn sample_log_links(
    log_probability: &Tensor,
    uniform: &Tensor,
    temperature: f64,
) -> Result<Tensor> {
    relax(&link_logit(log_probability)?, uniform, temperature)
}

/// `log p − log(1 − p)` of links, in at least single precision. Shape as log_probability.
pub(super) fn link_logit(log_probability: &Tensor) -> Result<Tensor> {
    let kind = match log_probability.kind() {
        Kind::Half | Kind::BFloat16 => Kind::Float,
        kind => kind,
    };
    let raw = log_probability.f_to_kind(kind)?.f_exp()?;
    let probability = &raw + (raw.f_clamp(0.0, 1.0)? - &raw).f_detach()?;
    let probability = probability.f_clamp(EPSILON, 1.0 - EPSILON)?;
    Ok(probability.f_log()? - (-&probability).f_log1p()?)
}

/// Log samples from the logits of links.
///
/// # Shapes
/// - logit: `[receivers, senders]` or `[batch, receivers, senders]`
/// - uniform, output: `[batch, receivers, senders]`
fn relax(logit: &Tensor, uniform: &Tensor, temperature: f64) -> Result<Tensor> {
    let mut noise = uniform.f_to_kind(logit.kind())?.f_logit(EPSILON)?;
    // Fresh and without gradient: it may be changed in place until the logit comes in.
    let scaled = if logit.requires_grad() {
        noise.f_add(logit)?.f_div_scalar(temperature)?
    } else {
        noise.f_add_(logit)?.f_div_scalar_(temperature)?
    };
    let [low, high] = bounds();
    Ok(scaled.f_log_sigmoid()?.f_clamp(low, high)?)
}

/// [`relax`], as a recompute node if the context has a tape.
pub(super) fn relax_links(
    logit: &Tensor,
    uniform: &Tensor,
    temperature: f64,
    ctx: &mut ForwardContext<'_>,
) -> Result<Tensor> {
    let Some(tape) = ctx.tape() else {
        return relax(logit, uniform, temperature);
    };
    let log_links = tch::no_grad(|| relax(&logit.detach(), uniform, temperature))?;
    let kept = log_links.shallow_clone();
    let per_example = logit.dim() == uniform.dim();
    let mut outputs = tape.recompute_node(
        vec![logit.shallow_clone()],
        vec![log_links],
        move |gradients| {
            tch::no_grad(|| {
                let [low, high] = bounds();
                let inside = kept.f_gt(low)?.f_logical_and_(&kept.f_lt(high)?)?;
                let mut gradient = kept.f_expm1()?.f_mul_(&gradients[0])?;
                let gradient = gradient.f_mul_(&inside)?.f_div_scalar_(-temperature)?;
                Ok(vec![if per_example {
                    gradient
                } else {
                    gradient.f_sum_dim_intlist([0].as_slice(), false, None::<Kind>)?
                }])
            })
        },
    )?;
    Ok(outputs.swap_remove(0))
}

/// Least and greatest logarithm of a sample.
fn bounds() -> [f64; 2] {
    [TINY.ln(), (-EPSILON).ln_1p()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::StreamNoise;
    use crate::tape::Tape;
    use nac_core::Streams;
    use tch::Device;

    const DOUBLE: (Kind, Device) = (Kind::Double, Device::Cpu);

    /// The definition, step by step, as `RelaxedBernoulli` has it.
    fn definition(log_probability: &Tensor, uniform: &Tensor, temperature: f64) -> Tensor {
        let raw = log_probability.exp();
        let probability = &raw + (raw.clamp(0.0, 1.0) - &raw).detach();
        let inside = |x: &Tensor| x.clamp(EPSILON, 1.0 - EPSILON);
        let (p, u) = (inside(&probability), inside(uniform));
        let noise = u.log() - (-&u).log1p();
        let logits = (noise + (p.log() - (-&p).log1p())) / temperature;
        logits.sigmoid().clamp(TINY, 1.0 - EPSILON).log()
    }

    /// Probabilities and draws in the middle, at the ends and beyond.
    fn operands(kind: Kind) -> (Tensor, Tensor) {
        let ends = Tensor::from_slice(&[0.0, -1e-9, 1e-6, f64::NEG_INFINITY, -40.0, -15.0]);
        let middle = -Tensor::rand([2, 6], DOUBLE) * 4.0;
        let log = Tensor::cat(&[ends.view([1, 6]), middle], 0).to_kind(kind);
        let uniform = Tensor::rand([4, 3, 6], DOUBLE);
        let mut first = uniform.select(0, 0).select(0, 1);
        let draws = [0.0, 1e-9, 5.9e-8, 0.5, 1.0 - 2.0_f64.powi(-24), 1e-4];
        first.copy_(&Tensor::from_slice(&draws));
        (log.set_requires_grad(true), uniform.to_kind(kind))
    }

    #[test]
    fn samples_and_gradients_are_those_of_the_definition() {
        // In single precision the definition itself rounds: σ near one is known to 6e-8, and 1/σ near zero.
        for (kind, tolerance) in [(Kind::Double, 1e-9), (Kind::Float, 3e-6)] {
            for temperature in [0.5, 0.05] {
                let (log, uniform) = operands(kind);
                let weights = Tensor::rand([4, 3, 6], DOUBLE).to_kind(kind);
                let expected = definition(&log, &uniform, temperature);
                let gradient = |y: &Tensor| (y * &weights).sum(kind);
                let by_definition =
                    Tensor::run_backward(&[gradient(&expected)], &[&log], false, false);
                let ours = sample_log_links(&log, &uniform, temperature).unwrap();
                let by_graph = Tensor::run_backward(&[gradient(&ours)], &[&log], false, false);
                assert!(ours.allclose(&expected, tolerance, tolerance, false));
                let mut tape = Tape::new();
                let mut noise = StreamNoise::new(Streams::new(0));
                let mut ctx = ForwardContext::training(&mut noise).with_tape(&mut tape);
                let logit = ctx.detached_leaf(&link_logit(&log).unwrap()).unwrap();
                let recorded = relax_links(&logit, &uniform, temperature, &mut ctx).unwrap();
                assert_eq!(recorded, ours.detach());
                let by_tape = tape.backward(&gradient(&recorded), &[&log]).unwrap();
                for found in [&by_graph[0], &by_tape[0]] {
                    let bound = tolerance * 10.0;
                    assert!(
                        found.allclose(&by_definition[0], bound, bound, false),
                        "{kind:?}, temperature {temperature}:\n{found}\n{}",
                        by_definition[0]
                    );
                }
            }
        }
    }
}
