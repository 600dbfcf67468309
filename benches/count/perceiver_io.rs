//! Stages of Perceiver IO.

use nac_modules::baseline::PerceiverIoConfig;

use super::product::{Work, attention, linear, special};
use super::stage::{Algorithm, Stage};

/// Feed-forward block with GEGLU.
fn ffn(rows: usize, dim: usize, multiplier: usize) -> Work {
    let hidden = dim * multiplier;
    linear(rows, dim, 2 * hidden) + special(rows * hidden) + linear(rows, hidden, dim)
}

/// Stages between tokenizer and head, for `tokens` tokens of `token_dim`.
pub(super) fn stages(
    config: &PerceiverIoConfig,
    (tokens, token_dim): (usize, usize),
    algorithm: Algorithm,
) -> Vec<Stage> {
    let (latents, dim) = (config.latents, config.latent_dim);
    let multiplier = config.ffn_multiplier;
    let (cross, cross_dim) = (config.cross_heads, config.cross_head_dim());
    let query_dim = config.query_dim();
    let inner = cross * cross_dim;
    // Latents and the answer's query are parameters: what is made of them alone is that of the model.
    let stage = |name, query: Work, rest: Work| match algorithm {
        Algorithm::Reference => Stage::of_images(name, query + rest),
        Algorithm::Folded => Stage {
            name,
            per_image: rest,
            per_call: query,
        },
    };
    let read = linear(tokens, token_dim, 2 * inner)
        + attention(latents, tokens, cross, cross_dim)
        + linear(latents, inner, dim)
        + ffn(latents, dim, multiplier);
    let mut stages = vec![stage("read", linear(latents, dim, inner), read)];

    let wide = config.latent_heads * config.head_dim;
    let layers = config.depth;
    stages.push(Stage::of_images(
        "layers qkv",
        linear(latents, dim, 3 * wide) * layers,
    ));
    let attend = attention(latents, latents, config.latent_heads, config.head_dim);
    stages.push(Stage::of_images("layers attention", attend * layers));
    stages.push(Stage::of_images(
        "layers exit",
        linear(latents, wide, dim) * layers,
    ));
    stages.push(Stage::of_images(
        "layers ffn",
        ffn(latents, dim, multiplier) * layers,
    ));

    let mut answer = linear(latents, dim, 2 * inner)
        + attention(1, latents, cross, cross_dim)
        + linear(1, inner, query_dim);
    if config.decoder_ffn {
        answer = answer + ffn(1, query_dim, multiplier);
    }
    stages.push(stage("decoder", linear(1, query_dim, inner), answer));
    stages
}
