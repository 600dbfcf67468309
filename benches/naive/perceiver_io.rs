//! Perceiver IO, step by step, with its attention written out.
//!
//! Source: reference `model/external/perceiver_io.py`.

use nac_modules::Result;
use nac_modules::baseline::PerceiverIoConfig;
use tch::Tensor;

use super::attention::plain;
use super::layer::{geglu, layer_norm, linear};
use super::weights::NamedTensors;

/// Logits, `[batch, classes]`, of tokens, `[batch, tokens, token]`.
pub(super) fn forward(
    weights: &NamedTensors<'_>,
    tokens: &Tensor,
    config: &PerceiverIoConfig,
) -> Result<Tensor> {
    let batch = tokens.size()[0];
    let (cross, heads) = (config.cross_heads as i64, config.latent_heads as i64);
    let repeated = |x: &Tensor| x.f_unsqueeze(0)?.f_expand([batch, -1, -1], false);
    let latents = repeated(weights.get("latents")?)?;
    let read = weights.sub("cross_attend_blocks.0");
    let mut x = plain(&read, &latents, Some(tokens), cross)?.f_add(&latents)?;
    x = feed_forward(&weights.sub("cross_attend_blocks.1"), &x)?;
    for layer in 0..config.depth {
        let block = weights.sub(&format!("layers.{layer}"));
        x = plain(&block.sub("0"), &x, None, heads)?.f_add(&x)?;
        x = feed_forward(&block.sub("1"), &x)?;
    }
    let query = repeated(weights.get("classification_query")?)?;
    let mut answer = plain(&weights.sub("decoder_cross_attn"), &query, Some(&x), cross)?;
    if config.decoder_ffn {
        answer = feed_forward(&weights.sub("decoder_ff"), &answer)?;
    }
    Ok(linear(&weights.sub("to_logits"), &answer)?.f_select(1, 0)?)
}

/// Layer norm, linear, GEGLU, linear, residual.
fn feed_forward(weights: &NamedTensors<'_>, x: &Tensor) -> Result<Tensor> {
    let inner = weights.sub("fn.net");
    let normal = layer_norm(&weights.sub("norm"), x)?;
    let hidden = geglu(&linear(&inner.sub("0"), &normal)?)?;
    Ok(linear(&inner.sub("2"), &hidden)?.f_add(x)?)
}
