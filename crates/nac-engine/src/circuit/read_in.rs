//! Read-in: every module reads the tokens in its own way.
//!
//! States before the read-in do not depend on the input, so neither do the queries: `(W_kᵀ q_u) ⊙ s_u` is computed when
//! the model is loaded. Source: reference `attention.py`, `ReadInAttention`; `block.py`, `AttentiveReadIn`.

use ndarray::{Array2, ArrayView2, s};

use super::generator::Modules;
use super::step::{InputMixer, Step};
use super::token_store::TokenStore;
use crate::attention::{Attention, Connections, Fold, KeyValueLayout, Queries};
use crate::backend::{Backend, Precision};
use crate::blocks::{Blocks, Layout};
use crate::error::{EngineError, Result};
use crate::layer::{FeedForward, Modulation, Norm, Projection, Raw, layer_scale};
use crate::weights::WeightScope;
use nac_core::model::{
    ModFcConfig, ProjectionKind, ReadInAttentionConfig, ReadInConfig, ReadInKind,
};

/// Widths of tokens, states and codes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dims {
    pub(crate) token: usize,
    pub(crate) state: usize,
    pub(crate) code: usize,
}

/// Tensors `read_in_attention` or `read_in_projection`, and `ffn`.
pub(crate) fn load(
    scope: &WeightScope<'_, '_>,
    dims: Dims,
    config: &ReadInConfig,
    mod_fc: &ModFcConfig,
    readers: &Modules,
    backend: &Backend,
) -> Result<(TokenStore, Step)> {
    let codes = readers.codes();
    let (tokens, input_mixer) = match config.kind {
        ReadInKind::Attention => {
            let scope = scope.sub("read_in_attention");
            attention(&scope, dims, &config.attention, mod_fc, readers, backend)?
        }
        ReadInKind::Projection => {
            let mod_fc = config.attention.mod_fc.as_ref().unwrap_or(mod_fc);
            let layouts = (Layout::plain(dims.token), Layout::plain(dims.state));
            let scope = scope.sub("read_in_projection");
            let precision = backend.precision;
            let projection = Projection::load(&scope, layouts, dims.code, true, mod_fc, precision)?;
            let modulation = projection.modulation(codes);
            let input_mixer = InputMixer::Projection(Box::new((projection, modulation)));
            (TokenStore::Raw, input_mixer)
        }
    };
    let feed_forward = FeedForward::modulated(
        &scope.sub("ffn"),
        (dims.state, dims.code),
        &config.ffn,
        mod_fc,
        codes,
        backend.precision,
    )?;
    let step = Step {
        input_mixer,
        feed_forward: Some(feed_forward),
    };
    Ok((tokens, step))
}

/// The attention alone.
pub(crate) fn attention(
    scope: &WeightScope<'_, '_>,
    dims: Dims,
    config: &ReadInAttentionConfig,
    mod_fc: &ModFcConfig,
    readers: &Modules,
    backend: &Backend,
) -> Result<(TokenStore, InputMixer)> {
    let precision = backend.precision;
    let mod_fc = config.mod_fc.as_ref().unwrap_or(mod_fc);
    let shared = ModFcConfig {
        kind: ProjectionKind::Fc,
        ..mod_fc.clone()
    };
    let key_value = if config.share_key_value_projectors {
        &shared
    } else {
        mod_fc
    };
    let inner = Layout::heads(config.heads, config.head_dim);
    let (token, state) = (Layout::plain(dims.token), Layout::plain(dims.state));
    let bias = config.qkv_bias;
    let load = |name: &str, inputs: Layout, outputs: Layout, bias: bool, config: &ModFcConfig| {
        let (scope, layouts) = (scope.sub(name), (inputs, outputs));
        let raw = raw(&scope, layouts, bias, config)?;
        let projection = Projection::load(&scope, layouts, dims.code, bias, config, precision)?;
        Ok::<_, EngineError>((projection, raw))
    };
    let query = load("query_compiler", state, inner, bias, mod_fc)?;
    let key = load("key_compiler", token, inner, bias, key_value)?;
    let value = load("value_compiler", token, inner, bias, key_value)?;
    let (exit, _) = load("exit_layer", inner, state, true, mod_fc)?;
    let norm = Norm::load(&scope.sub("receiver_layernorm"), dims.state)?;
    let queries = folded_queries(&norm, &query, &key, inner, readers);
    let per_token = Layout::heads(config.heads, dims.token);
    let gamma = config.layer_scale.map(|_| layer_scale(scope, dims.state));
    let attention = Attention {
        queries: Queries::fixed(queries.view(), per_token, config.head_dim, backend),
        keys: per_token,
        values: per_token,
        heads: config.heads,
        connections: Connections::ALL,
        fold: Some(fold(&value, (token, inner), readers.codes(), precision)),
        exit_modulation: exit.modulation(readers.codes()),
        exit,
        gamma: gamma.transpose()?,
        residual: config.residual,
    };
    let tokens = TokenStore::Normalized {
        norm: Norm::load(&scope.sub("sender_layernorm"), dims.token)?,
        layout: KeyValueLayout::shared(token.rows(), precision),
    };
    Ok((tokens, InputMixer::Attention(Box::new(attention))))
}

type WithRaw<'w> = (Projection, Raw<'w>);

fn raw<'w>(
    scope: &WeightScope<'_, 'w>,
    (inputs, outputs): (Layout, Layout),
    bias: bool,
    config: &ModFcConfig,
) -> Result<Raw<'w>> {
    let (inputs, outputs) = (inputs.features(), outputs.features());
    Projection::raw(scope, inputs, outputs, bias, config.kind)
}

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

/// The value projection, head by head.
fn fold(
    (value, raw): &WithRaw<'_>,
    (token, inner): (Layout, Layout),
    codes: ArrayView2<'_, f32>,
    precision: Precision,
) -> Fold {
    let width = inner.head_dim();
    let (input, output) = value.factors(codes);
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
        (
            Projection::of(&raw.outputs(rows), (token, features), precision),
            modulation,
        )
    };
    Fold {
        heads: (0..inner.head_count()).map(head).collect(),
        input: input.map(|input| Blocks::from_items(input.view(), token)),
    }
}
