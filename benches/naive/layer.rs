//! Layers: norms, the modulated linear layer, feed-forward blocks.
//!
//! Source: reference `utils.py` (`ModFC`, `GEGLU`) and `model/nc/attention.py` (`ModFFN`).

use nac_modules::Result;
use tch::Tensor;

use super::weights::NamedTensors;

/// Epsilon of every layer norm of the circuit.
const EPSILON: f64 = 1e-5;

/// Layer norm over the last dimension, with gain and bias.
pub(super) fn layer_norm(weights: &NamedTensors<'_>, x: &Tensor) -> Result<Tensor> {
    let (gain, bias) = (weights.get("weight")?, weights.get("bias")?);
    Ok(x.f_layer_norm(gain.size(), Some(gain), Some(bias), EPSILON, false)?)
}

/// `y = x Wᵀ + b`.
pub(super) fn linear(weights: &NamedTensors<'_>, x: &Tensor) -> Result<Tensor> {
    Ok(x.f_linear(weights.get("weight")?, weights.find("bias"))?)
}

/// ModFC, `W (x ⊙ (1 + α · LN(W_c c))) + b`. Everything is computed again at every call, and the product of input
/// and scale has the shape of both together.
///
/// - x: `[..., modules, in]`, codes: `[modules, code]`, result: `[..., modules, out]`
pub(super) fn mod_fc(weights: &NamedTensors<'_>, x: &Tensor, codes: &Tensor) -> Result<Tensor> {
    let projected = codes.f_linear(weights.get("scale.weight")?, None::<&Tensor>)?;
    let width = [projected.size()[1]];
    let normal = projected.f_layer_norm(width, None::<&Tensor>, None::<&Tensor>, EPSILON, false)?;
    let scale = (weights.get("scale_gain")? * normal).f_add_scalar(1.0)?;
    let scaled = x.f_mul(&scale)?;
    Ok(scaled.f_linear(weights.get("native_weight")?, weights.find("native_bias"))?)
}

/// First half times GELU of the second half.
pub(super) fn geglu(x: &Tensor) -> Result<Tensor> {
    let halves = x.f_chunk(2, -1)?;
    Ok(halves[0].f_mul(&halves[1].f_gelu("none")?)?)
}

/// ModFFN: layer norm, ModFC, GEGLU, ModFC, residual.
pub(super) fn mod_ffn(
    weights: &NamedTensors<'_>,
    states: &Tensor,
    codes: &Tensor,
) -> Result<Tensor> {
    let normal = layer_norm(&weights.sub("layernorm"), states)?;
    let hidden = geglu(&mod_fc(&weights.sub("ffn.0"), &normal, codes)?)?;
    Ok(states.f_add(&mod_fc(&weights.sub("ffn.2"), &hidden, codes)?)?)
}
