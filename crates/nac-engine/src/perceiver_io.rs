//! Perceiver IO, ready to run.
//!
//! The same steps as a circuit: latents read the tokens, talk among themselves, and a query reads the answer. Source:
//! Perceiver IO (arXiv 2107.14795) as the reference uses it for its baseline.

use ndarray::ArrayView2;

use super::attention::{Connections, Queries, Receivers, Senders, Store};
use super::blocks::{Blocks, Layout};
use super::circuit::{Plan, Propagation, ReadOut, Step, TokenSide, Uptake};
use super::error::Result;
use super::head::Head;
use super::layer::{FeedForward, Modulation, Norm, Projection, Tools, matrix};
use super::weights::Scope;
use nac_core::model::PerceiverIoConfig;

/// Widths of one attention.
#[derive(Debug, Clone, Copy)]
struct Widths {
    /// Of those who ask.
    queries: usize,
    /// Of those who answer.
    context: usize,
    heads: usize,
    head: usize,
}

/// A Perceiver IO on tokens of `token_dim`.
pub(crate) fn perceiver_io(
    scope: &Scope<'_, '_>,
    (token_dim, classes): (usize, usize),
    config: &PerceiverIoConfig,
    tools: &Tools,
) -> Result<Plan> {
    config.check()?;
    let (latents, dim, query_dim) = (config.latents, config.latent_dim, config.query_dim());
    let initial = matrix(&scope.tensor("latents", &[latents, dim])?, dim);
    let query = matrix(
        &scope.tensor("classification_query", &[1, query_dim])?,
        query_dim,
    );
    let feed_forward = |scope: &Scope<'_, '_>, dim: usize| {
        FeedForward::plain(scope, dim, dim * config.ffn_multiplier, tools.precision)
    };
    let cross = Widths {
        queries: dim,
        context: token_dim,
        heads: config.cross_heads,
        head: config.cross_head_dim(),
    };
    let fixed = Some(initial.view());
    let reading = scope.sub("cross_attend_blocks.0");
    let (tokens, receivers) = attention(&reading, cross, true, fixed, tools)?;
    let read_in = Step {
        uptake: Uptake::Attention(Box::new(receivers)),
        feed_forward: Some(feed_forward(&scope.sub("cross_attend_blocks.1"), dim)?),
    };
    let talking = Widths {
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
            let (senders, receivers) = attention(&scope.sub(0), talking, true, None, tools)?;
            Ok(Propagation {
                read_senders: None,
                senders,
                step: Step {
                    uptake: Uptake::Attention(Box::new(receivers)),
                    feed_forward: Some(feed_forward(&scope.sub(1), dim)?),
                },
            })
        })
        .collect::<Result<_>>()?;
    let asking = Widths {
        queries: query_dim,
        context: dim,
        ..cross
    };
    let decoder = scope.sub("decoder_cross_attn");
    let fixed = Some(query.view());
    let (senders, receivers) = attention(&decoder, asking, false, fixed, tools)?;
    let decoder_ffn = config
        .decoder_ffn
        .then(|| feed_forward(&scope.sub("decoder_ff"), query_dim));
    Ok(Plan {
        token_rows: Layout::plain(token_dim).rows(),
        token_side: TokenSide::Projected(Box::new(tokens)),
        readers: Blocks::from_items(initial.view(), Layout::plain(dim)),
        reader_count: latents,
        read_in,
        processors: None,
        processor_count: latents,
        propagations,
        read_out: ReadOut {
            layer: Propagation {
                read_senders: None,
                senders,
                step: Step {
                    uptake: Uptake::Attention(Box::new(receivers)),
                    feed_forward: decoder_ffn.transpose()?,
                },
            },
            initial: Blocks::from_items(query.view(), Layout::plain(query_dim)),
            count: 1,
            projection: None,
        },
        head: Head::linear(&scope.sub("to_logits"), query_dim, classes, tools)?,
    })
}

/// Tensors `norm`, `norm_context` (where somebody else is asked), `fn.to_q`, `fn.to_kv`, `fn.to_out`.
fn attention(
    scope: &Scope<'_, '_>,
    widths: Widths,
    residual: bool,
    fixed: Option<ArrayView2<'_, f32>>,
    tools: &Tools,
) -> Result<(Senders, Receivers)> {
    let precision = tools.precision;
    let inner = Layout::heads(widths.heads, widths.head);
    let (queries, context) = (Layout::plain(widths.queries), Layout::plain(widths.context));
    let inside = scope.sub("fn");
    let norm = Norm::load(&scope.sub("norm"), widths.queries)?;
    let context_norm = if fixed.is_some() {
        Norm::load(&scope.sub("norm_context"), widths.context)?
    } else {
        norm.clone()
    };
    let size = [2 * inner.features(), widths.context];
    let both = inside.sub("to_kv").tensor("weight", &size)?;
    let (key, value) = both.split_at(both.len() / 2);
    let of = |weight: &[f32]| Projection::of(weight, None, (context, inner), precision);
    let queries = match fixed {
        Some(items) => {
            let size = [inner.features(), widths.queries];
            let weight = inside.sub("to_q").tensor("weight", &size)?;
            let normal = norm.lines(items);
            let asked = normal.dot(&matrix(&weight, widths.queries).t());
            Queries::fixed(asked.view(), inner, widths.head, tools)
        }
        None => {
            let layouts = (queries, inner);
            let to_q = Projection::plain(&inside.sub("to_q"), layouts, false, precision)?;
            Queries::projected(norm, to_q, Modulation::default(), widths.head)
        }
    };
    let layouts = (inner, Layout::plain(widths.queries));
    let exit = Projection::plain(&inside.sub("to_out"), layouts, true, precision)?;
    let senders = Senders {
        norm: context_norm,
        key: of(key),
        value: of(value),
        key_modulation: Modulation::default(),
        value_modulation: Modulation::default(),
        store: Store::new(inner, inner, precision),
    };
    let receivers = Receivers {
        queries,
        keys: inner,
        values: inner,
        heads: widths.heads,
        links: Connections::ALL,
        fold: None,
        exit,
        exit_modulation: Modulation::default(),
        gamma: None,
        residual,
    };
    Ok((senders, receivers))
}
