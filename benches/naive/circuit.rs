//! A whole circuit, step by step.
//!
//! Source: reference `model/nc/block.py` (`LatentGraph`) and `model/nc/tokenizers.py` (`OutputLatentPooling`).

use nac_modules::Result;
use nac_modules::circuit::CircuitConfig;
use tch::{Kind, Tensor};

use super::attention::{Side, read_in, skmdpa};
use super::kernel::Sampling;
use super::layer::{linear, mod_ffn};
use super::weights::NamedTensors;

/// Logits, `[batch, classes]`, of tokens, `[batch, tokens, token]`.
pub(super) fn forward(
    weights: &NamedTensors<'_>,
    tokens: &Tensor,
    config: &CircuitConfig,
    mut sampling: Option<&mut Sampling<'_>>,
) -> Result<Tensor> {
    let batch = tokens.size()[0];
    let graph = weights.sub("latent_graphs.0");
    let latents = |name: &str| -> Result<(&Tensor, &Tensor)> {
        let latents = graph.sub(name);
        Ok((latents.get("signatures_")?, latents.get("codes_")?))
    };
    let repeated = |codes: &Tensor| codes.f_unsqueeze(0)?.f_expand([batch, -1, -1], false);

    let (_, codes) = latents("input_latents")?;
    let block = graph.sub("read_in");
    let heads = config.read_in.attention.heads as i64;
    let attention = block.sub("read_in_attention");
    let states = read_in(&attention, &repeated(codes)?, codes, tokens, heads)?;
    let mut states = mod_ffn(&block.sub("ffn"), &states, codes)?;

    let (signatures, codes) = latents("mediator_latents")?;
    for layer in 0..config.propagators {
        let block = graph.sub(&format!("propagators.{layer}"));
        let side = Side {
            states: &states,
            signatures,
            codes,
        };
        let heads = config.propagator.attention.heads.unwrap_or(8) as i64;
        let message = skmdpa(
            &block.sub("latent_attention"),
            (side, side),
            heads,
            true,
            sampling.as_deref_mut(),
        )?;
        states = mod_ffn(&block.sub("ffn"), &message, codes)?;
    }

    let senders = Side {
        states: &states,
        signatures,
        codes,
    };
    let (signatures, codes) = latents("output_latents")?;
    let receivers = Side {
        states: &repeated(codes)?,
        signatures,
        codes,
    };
    let block = graph.sub("read_out");
    let heads = config.read_out.attention.heads.unwrap_or(1) as i64;
    let message = skmdpa(
        &block.sub("latent_attention"),
        (receivers, senders),
        heads,
        false,
        sampling,
    )?;
    let outputs = mod_ffn(&block.sub("ffn"), &message, codes)?;

    let head = weights.sub("output_tokenizer");
    let confidence = linear(&head.sub("confidence_scorer"), &outputs)?
        .f_select(-1, 0)?
        .f_softmax(-1, None::<Kind>)?;
    let pooled = Tensor::f_einsum("buc,bu->bc", &[outputs, confidence], None::<&[i64]>)?;
    linear(&head.sub("to_logits"), &pooled)
}
