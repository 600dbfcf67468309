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
use nac_core::model::spec::{LinearSpec, PerceiverIoSpec, PerceiverLayerSpec, PlainAttentionSpec};

/// The Perceiver IO of `spec`.
pub(crate) fn perceiver_io(
    scope: &WeightScope<'_, '_>,
    spec: &PerceiverIoSpec,
    backend: &Backend,
) -> Result<Plan> {
    let (latents, dim, query_dim) = (spec.latents, spec.latent_dim, spec.query_dim);
    let initial = scope.matrix("latents", &[latents, dim])?;
    let query = scope.matrix("classification_query", &[1, query_dim])?;
    let (tokens, read_in) = plain_layer(scope, &spec.read, Some(initial.view()), backend)?;
    let layers = spec.layers.iter().map(|spec| {
        let (processors, step) = plain_layer(scope, spec, None, backend)?;
        Ok(Propagation {
            read_in: None,
            processors,
            step,
        })
    });
    let propagations = layers.collect::<Result<_>>()?;
    let (processors, step) = plain_layer(scope, &spec.decode, Some(query.view()), backend)?;
    Ok(Plan {
        token_rows: Layout::plain(spec.read.attention.to_kv.input).rows(),
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
                step,
            },
            initial: Blocks::from_items(query.view(), Layout::plain(query_dim)),
            count: 1,
            projection: None,
        },
        head: Head::linear(scope, spec.to_logits.as_ref(), backend)?,
    })
}

/// A layer whose receivers have `fixed` states, if these do not depend on the input.
pub(crate) fn plain_layer(
    scope: &WeightScope<'_, '_>,
    spec: &PerceiverLayerSpec,
    fixed: Option<ArrayView2<'_, f32>>,
    backend: &Backend,
) -> Result<(KeyValueProjection, Step)> {
    if let Some(target) = &spec.shares {
        scope.alias(&spec.path, target);
    }
    let (key_values, mixer) = attention(scope, &spec.attention, fixed, backend)?;
    let ffn = spec.ffn.as_ref();
    let step = Step {
        input_mixer: InputMixer::Attention(Box::new(mixer)),
        feed_forward: ffn
            .map(|ffn| FeedForward::plain(scope, ffn, backend.precision))
            .transpose()?,
    };
    Ok((key_values, step))
}

fn attention(
    scope: &WeightScope<'_, '_>,
    spec: &PlainAttentionSpec,
    fixed: Option<ArrayView2<'_, f32>>,
    backend: &Backend,
) -> Result<(KeyValueProjection, Attention)> {
    let precision = backend.precision;
    let inner = Layout::heads(spec.heads, spec.head_dim);
    let context = Layout::plain(spec.to_kv.input);
    let state = Layout::plain(spec.to_q.input);
    let norm = Norm::of(scope, &spec.norm)?;
    let context_norm = match &spec.norm_context {
        Some(norm) => Norm::of(scope, norm)?,
        None => norm.clone(),
    };
    let weight = |spec: &LinearSpec| {
        let size = [spec.output, spec.input];
        scope.sub(&spec.path).matrix("weight", &size)
    };
    let features = inner.features();
    let both = Raw {
        weight: weight(&spec.to_kv)?,
        bias: None,
    };
    let of = |rows| Projection::of(&both.outputs(rows), (context, inner), precision);
    let queries = match fixed {
        Some(items) => {
            let queries = norm.apply_to_items(items).dot(&weight(&spec.to_q)?.t());
            Queries::fixed(queries.view(), inner, spec.head_dim, backend)
        }
        None => {
            let to_q = Projection::linear(scope, &spec.to_q, (state, inner), precision)?;
            Queries::projected(norm, to_q, Modulation::default(), spec.head_dim)
        }
    };
    let exit = Projection::linear(scope, &spec.to_out, (inner, state), precision)?;
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
        heads: spec.heads,
        connections: Connections::ALL,
        fold: None,
        exit,
        exit_modulation: Modulation::default(),
        gamma: None,
        residual: spec.residual,
    };
    Ok((key_values, attention))
}
