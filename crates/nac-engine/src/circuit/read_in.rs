//! Read-in: every module reads the tokens in its own way.
//!
//! States before the read-in do not depend on the input, so neither do the queries: `(W_kᵀ q_u) ⊙ s_u` is computed when
//! the model is loaded. Source: reference `attention.py`, `ReadInAttention`; `block.py`, `AttentiveReadIn`.

use ndarray::{Array2, s};

use super::generator::Modules;
use super::step::{InputMixer, Step};
use super::token_store::TokenStore;
use crate::attention::{Attention, Connections, Fold, KeyValueLayout, Queries};
use crate::backend::{Backend, Precision};
use crate::blocks::{Blocks, Layout};
use crate::error::{EngineError, Result};
use crate::layer::{FeedForward, Modulation, Norm, Projection, Raw, layer_scale};
use crate::weights::WeightScope;
use nac_core::model::spec::{InputMixerSpec, ProjectionSpec, ReadInAttentionSpec, ReadInSpec};

/// The read-in of `spec`, by `readers`.
pub(crate) fn load(
    scope: &WeightScope<'_, '_>,
    spec: &ReadInSpec,
    readers: &Modules,
    backend: &Backend,
) -> Result<(TokenStore, Step)> {
    let (codes, precision) = (readers.codes(), backend.precision);
    let (tokens, input_mixer) = match &spec.mixer {
        InputMixerSpec::Attention(spec) => attention(scope, spec, readers, backend)?,
        InputMixerSpec::Projection(spec) => {
            let layouts = (Layout::plain(spec.input), Layout::plain(spec.output));
            let projection = Projection::load(scope, spec, layouts, precision)?;
            let modulation = projection.modulation(codes);
            let input_mixer = InputMixer::Projection(Box::new((projection, modulation)));
            (TokenStore::Raw, input_mixer)
        }
    };
    let step = Step {
        input_mixer,
        feed_forward: Some(FeedForward::modulated(scope, &spec.ffn, codes, precision)?),
    };
    Ok((tokens, step))
}

/// The attention alone.
pub(crate) fn attention(
    scope: &WeightScope<'_, '_>,
    spec: &ReadInAttentionSpec,
    readers: &Modules,
    backend: &Backend,
) -> Result<(TokenStore, InputMixer)> {
    let precision = backend.precision;
    let inner = Layout::heads(spec.heads, spec.head_dim);
    let (token, state) = (
        Layout::plain(spec.sender_norm.dim),
        Layout::plain(spec.receiver_norm.dim),
    );
    let load = |spec: &ProjectionSpec, layouts: (Layout, Layout)| {
        let raw = Projection::raw(scope, spec)?;
        let projection = Projection::load(scope, spec, layouts, precision)?;
        Ok::<_, EngineError>((projection, raw))
    };
    let query = load(&spec.query, (state, inner))?;
    let key = load(&spec.key, (token, inner))?;
    let value = load(&spec.value, (token, inner))?;
    let (exit, _) = load(&spec.exit, (inner, state))?;
    let norm = Norm::of(scope, &spec.receiver_norm)?;
    let queries = folded_queries(&norm, &query, &key, inner, readers);
    let per_token = Layout::heads(spec.heads, spec.sender_norm.dim);
    let attention = Attention {
        queries: Queries::fixed(queries.view(), per_token, spec.head_dim, backend),
        keys: per_token,
        values: per_token,
        heads: spec.heads,
        connections: Connections::ALL,
        fold: Some(fold(
            scope,
            &spec.value,
            &value,
            (token, inner, precision),
            readers,
        )?),
        exit_modulation: exit.modulation(readers.codes()),
        exit,
        gamma: layer_scale(scope, &spec.residual)?,
        residual: spec.residual.add,
    };
    let tokens = TokenStore::Normalized {
        norm: Norm::of(scope, &spec.sender_norm)?,
        layout: KeyValueLayout::shared(token.rows(), precision),
    };
    Ok((tokens, InputMixer::Attention(Box::new(attention))))
}

type WithRaw<'w> = (Projection, Raw<'w>);

/// `(W_kᵀ q_u) ⊙ s_u` for each head of each module, `[modules, heads · token]`.
fn folded_queries(
    norm: &Norm,
    (query, raw_query): &WithRaw<'_>,
    (key, raw_key): &WithRaw<'_>,
    inner: Layout,
    readers: &Modules,
) -> Array2<f32> {
    let codes = readers.codes();
    let normal = norm.apply_to_items(readers.states.view());
    let mut queries = query.apply_to_items(raw_query, normal.view(), codes);
    let (input, output) = key.factors(codes);
    if let Some(output) = output {
        queries *= &output;
    }
    let weight = &raw_key.weight;
    let (heads, width, token) = (inner.head_count(), inner.head_dim(), weight.ncols());
    let mut folded = Array2::zeros((readers.count(), heads * token));
    for head in 0..heads {
        let rows = head * width..(head + 1) * width;
        let queries = queries.slice(s![.., rows.clone()]);
        let part = queries.dot(&weight.slice(s![rows, ..]));
        let mut slot = folded.slice_mut(s![.., head * token..(head + 1) * token]);
        slot.assign(&part);
        if let Some(input) = &input {
            slot *= input;
        }
    }
    folded
}

/// The value projection of `spec`, head by head.
fn fold(
    scope: &WeightScope<'_, '_>,
    spec: &ProjectionSpec,
    (value, raw): &WithRaw<'_>,
    (token, inner, precision): (Layout, Layout, Precision),
    readers: &Modules,
) -> Result<Fold> {
    let width = inner.head_dim();
    let (input, output) = value.factors(readers.codes());
    let head = |head: usize| {
        let rows = head * width..(head + 1) * width;
        let features = Layout::plain(width);
        let output = output
            .as_ref()
            .map(|output| Blocks::from_items(output.slice(s![.., rows.clone()]), features));
        let modulation = Modulation {
            input: None,
            output,
        };
        let projection = scope.kept(("head", head, spec, precision), || {
            Ok(Projection::of(
                &raw.outputs(rows),
                (token, features),
                precision,
            ))
        });
        Ok((projection?, modulation))
    };
    Ok(Fold {
        heads: (0..inner.head_count()).map(head).collect::<Result<_>>()?,
        input: input.map(|input| Blocks::from_items(input.view(), token)),
    })
}
