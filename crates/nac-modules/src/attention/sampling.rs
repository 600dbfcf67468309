//! Relaxed Bernoulli sampling of links, in log space, differentiable.
//!
//! `l = (log u − log(1 − u) + log p − log(1 − p)) / τ`, sample `σ(l)`, result `log σ(l)`.
//! `p` is clamped to `[0, 1]` with a straight-through gradient, then `p` and `u` to `[ε, 1 − ε]` with
//! `ε = 2⁻²³`, which does stop the gradient. Source: Concrete distribution (arXiv 1611.00712) as
//! PyTorch's `RelaxedBernoulli` computes it. [`nac_core::sampling`] has the same on plain arrays.

use tch::{Kind, Tensor};

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
pub fn sample_log_links(log_probability: &Tensor, uniform: &Tensor, temperature: f64) -> Tensor {
    let kind = match log_probability.kind() {
        Kind::Half | Kind::BFloat16 => Kind::Float,
        kind => kind,
    };
    let raw = log_probability.to_kind(kind).exp();
    let probability = &raw + (raw.clamp(0.0, 1.0) - &raw).detach();
    let probability = probability.clamp(EPSILON, 1.0 - EPSILON);
    let uniform = uniform.to_kind(kind).clamp(EPSILON, 1.0 - EPSILON);
    let noise = uniform.log() - (-&uniform).log1p();
    let logits = (noise + (probability.log() - (-&probability).log1p())) / temperature;
    logits.sigmoid().clamp(TINY, 1.0 - EPSILON).log()
}
