//! Perceiver IO, ready to run.
//!
//! The same steps as a circuit: latents attend to the tokens, then to each other, and a query attends to them. Source:
//! Perceiver IO (arXiv 2107.14795) as the reference uses it for its baseline.

use ndarray::ArrayView2;

use super::attention::{Attention, Connections, KeyValueLayout, KeyValueProjection, Queries};
use super::backend::Backend;
use super::blocks::{Blocks, Layout};
use super::circuit::{Head, InputMixer, Plan, Propagation, ReadOut, Step, TokenStore};
use super::error::Result;
use super::layer::{FeedForward, Modulation, Norm, Projection, Raw};
use super::weights::WeightScope;
use nac_core::model::PerceiverIoConfig;

/// Widths of one attention.
#[derive(Debug, Clone, Copy)]
struct Widths {
    /// Of the receivers.
    queries: usize,
    /// Of the senders.
    context: usize,
    heads: usize,
    head: usize,
}

/// A Perceiver IO on tokens of `token_dim`.
pub(crate) fn perceiver_io(
    scope: &WeightScope<'_, '_>,
    (token_dim, classes): (usize, usize),
    config: &PerceiverIoConfig,
    backend: &Backend,
) -> Result<Plan> {
    config.check()?;
    let (latents, dim, query_dim) = (config.latents, config.latent_dim, config.query_dim());
    let initial = scope.matrix("latents", &[latents, dim])?;
    let query = scope.matrix("classification_query", &[1, query_dim])?;
    let feed_forward = |scope: &WeightScope<'_, '_>, dim: usize| {
        FeedForward::plain(scope, dim, dim * config.ffn_multiplier, backend.precision)
    };
    let cross = Widths {
        queries: dim,
        context: token_dim,
        heads: config.cross_heads,
        head: config.cross_head_dim(),
    };
    let fixed = Some(initial.view());
    let encoder = scope.sub("cross_attend_blocks.0");
    let (tokens, mixer) = attention(&encoder, cross, true, fixed, backend)?;
    let read_in = Step {
        input_mixer: InputMixer::Attention(Box::new(mixer)),
        feed_forward: Some(feed_forward(&scope.sub("cross_attend_blocks.1"), dim)?),
    };
    let latent = Widths {
        queries: dim,
        context: dim,
        heads: config.latent_heads,
        head: config.head_dim,
    };
    let propagations = (0..config.depth)
        .map(|layer| {
            let name = format!("layers.{layer}");
            if layer > 0 && config.weight_tie_layers {
                scope.alias(&name, "layers.0");
            }
            let scope = scope.sub(name);
            let (processors, mixer) = attention(&scope.sub(0), latent, true, None, backend)?;
            Ok(Propagation {
                read_in: None,
                processors,
                step: Step {
                    input_mixer: InputMixer::Attention(Box::new(mixer)),
                    feed_forward: Some(feed_forward(&scope.sub(1), dim)?),
                },
            })
        })
        .collect::<Result<_>>()?;
    let decoding = Widths {
        queries: query_dim,
        context: dim,
        ..cross
    };
    let decoder = scope.sub("decoder_cross_attn");
    let fixed = Some(query.view());
    let (processors, mixer) = attention(&decoder, decoding, false, fixed, backend)?;
    let decoder_ffn = config
        .decoder_ffn
        .then(|| feed_forward(&scope.sub("decoder_ff"), query_dim));
    Ok(Plan {
        token_rows: Layout::plain(token_dim).rows(),
        token_store: TokenStore::Projected(Box::new(tokens)),
        readers: Blocks::from_items(initial.view(), Layout::plain(dim)),
        reader_count: latents,
        read_in,
        processors: None,
        processor_count: latents,
        propagations,
        read_out: ReadOut {
            layer: Propagation {
                read_in: None,
                processors,
                step: Step {
                    input_mixer: InputMixer::Attention(Box::new(mixer)),
                    feed_forward: decoder_ffn.transpose()?,
                },
            },
            initial: Blocks::from_items(query.view(), Layout::plain(query_dim)),
            count: 1,
            projection: None,
        },
        head: Head::linear(&scope.sub("to_logits"), query_dim, classes, backend)?,
    })
}

/// Tensors `norm`, `norm_context` (of cross-attention), `fn.to_q`, `fn.to_kv`, `fn.to_out`.
fn attention(
    scope: &WeightScope<'_, '_>,
    widths: Widths,
    residual: bool,
    fixed: Option<ArrayView2<'_, f32>>,
    backend: &Backend,
) -> Result<(KeyValueProjection, Attention)> {
    let precision = backend.precision;
    let inner = Layout::heads(widths.heads, widths.head);
    let (queries, context) = (Layout::plain(widths.queries), Layout::plain(widths.context));
    let inside = scope.sub("fn");
    let norm = Norm::load(&scope.sub("norm"), widths.queries)?;
    let context_norm = if fixed.is_some() {
        Norm::load(&scope.sub("norm_context"), widths.context)?
    } else {
        norm.clone()
    };
    let features = inner.features();
    let both = Raw {
        weight: (inside.sub("to_kv")).matrix("weight", &[2 * features, widths.context])?,
        bias: None,
    };
    let of = |rows| Projection::of(&both.outputs(rows), (context, inner), precision);
    let queries = match fixed {
        Some(items) => {
            let size = [features, widths.queries];
            let weight = inside.sub("to_q").matrix("weight", &size)?;
            let queries = norm.apply_to_items(items).dot(&weight.t());
            Queries::fixed(queries.view(), inner, widths.head, backend)
        }
        None => {
            let layouts = (queries, inner);
            let to_q = Projection::plain(&inside.sub("to_q"), layouts, false, precision)?;
            Queries::projected(norm, to_q, Modulation::default(), widths.head)
        }
    };
    let layouts = (inner, Layout::plain(widths.queries));
    let exit = Projection::plain(&inside.sub("to_out"), layouts, true, precision)?;
    let key_values = KeyValueProjection {
        norm: context_norm,
        key: of(0..features),
        value: of(features..2 * features),
        key_modulation: Modulation::default(),
        value_modulation: Modulation::default(),
        layout: KeyValueLayout::new(inner, inner, precision),
    };
    let attention = Attention {
        queries,
        keys: inner,
        values: inner,
        heads: widths.heads,
        connections: Connections::ALL,
        fold: None,
        exit,
        exit_modulation: Modulation::default(),
        gamma: None,
        residual,
    };
    Ok((key_values, attention))
}
