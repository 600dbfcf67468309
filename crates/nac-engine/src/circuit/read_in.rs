//! Read-in: every module reads the tokens in its own way.
//!
//! States before the read-in do not depend on the input, so neither do the queries: `(W_kᵀ q_u) ⊙ s_u` is computed when
//! the model is loaded. Source: reference `attention.py`, `ReadInAttention`; `block.py`, `AttentiveReadIn`.

use ndarray::{Array2, s};

use super::generator::Modules;
use super::step::{Step, Uptake};
use super::token_side::TokenSide;
use crate::attention::{Connections, Fold, Queries, Receivers, Store};
use crate::blocks::{Blocks, Layout};
use crate::error::Result;
use crate::layer::{FeedForward, Modulation, Norm, Projection, Tools, layer_scale, matrix};
use crate::weights::Scope;
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
    scope: &Scope<'_, '_>,
    dims: Dims,
    config: &ReadInConfig,
    mod_fc: &ModFcConfig,
    readers: &Modules,
    tools: &Tools,
) -> Result<(TokenSide, Step)> {
    let codes = readers.codes();
    let (tokens, uptake) = match config.kind {
        ReadInKind::Attention => {
            let scope = scope.sub("read_in_attention");
            attention(&scope, dims, &config.attention, mod_fc, readers, tools)?
        }
        ReadInKind::Projection => {
            let mod_fc = config.attention.mod_fc.as_ref().unwrap_or(mod_fc);
            let layouts = (Layout::plain(dims.token), Layout::plain(dims.state));
            let scope = scope.sub("read_in_projection");
            let precision = tools.precision;
            let projection = Projection::load(&scope, layouts, dims.code, true, mod_fc, precision)?;
            let modulation = projection.modulation(codes);
            let uptake = Uptake::Projection(Box::new((projection, modulation)));
            (TokenSide::AsTheyAre, uptake)
        }
    };
    let feed_forward = FeedForward::modulated(
        &scope.sub("ffn"),
        (dims.state, dims.code),
        &config.ffn,
        mod_fc,
        codes,
        tools.precision,
    )?;
    let step = Step {
        uptake,
        feed_forward: Some(feed_forward),
    };
    Ok((tokens, step))
}

/// The attention alone.
pub(crate) fn attention(
    scope: &Scope<'_, '_>,
    dims: Dims,
    config: &ReadInAttentionConfig,
    mod_fc: &ModFcConfig,
    readers: &Modules,
    tools: &Tools,
) -> Result<(TokenSide, Uptake)> {
    let precision = tools.precision;
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
    let (heads, width) = (config.heads, config.head_dim);
    let inner = Layout::heads(heads, width);
    let token = Layout::plain(dims.token);
    let codes = readers.codes();
    let bias = config.qkv_bias;
    let load = |name: &str, inputs: Layout, outputs: Layout, bias: bool, config: &ModFcConfig| {
        Projection::load(
            &scope.sub(name),
            (inputs, outputs),
            dims.code,
            bias,
            config,
            precision,
        )
    };
    let state = Layout::plain(dims.state);
    let query = load("query_compiler", state, inner, bias, mod_fc)?;
    let key = load("key_compiler", token, inner, bias, key_value)?;
    let value = load("value_compiler", token, inner, bias, key_value)?;
    let exit = load("exit_layer", inner, state, true, mod_fc)?;
    let raw = |name: &str, inputs: usize, bias: bool, config: &ModFcConfig| {
        let outputs = inner.features();
        Projection::raw(&scope.sub(name), inputs, outputs, bias, config.kind)
    };

    let norm = Norm::load(&scope.sub("receiver_layernorm"), dims.state)?;
    let normal = norm.lines(readers.states.view());
    let raw_query = raw("query_compiler", dims.state, bias, mod_fc)?;
    let mut queries = query.lines(&raw_query, normal.view(), codes);
    let (input, output) = key.factors(codes);
    if let Some(output) = output {
        queries *= &output;
    }
    let raw_key = matrix(
        &raw("key_compiler", dims.token, bias, key_value)?.weight,
        dims.token,
    );
    let mut folded = Array2::zeros((readers.count(), heads * dims.token));
    for head in 0..heads {
        let rows = head * width..(head + 1) * width;
        let part = queries
            .slice(s![.., rows.clone()])
            .dot(&raw_key.slice(s![rows, ..]));
        let mut place = folded.slice_mut(s![.., head * dims.token..(head + 1) * dims.token]);
        place.assign(&part);
        if let Some(input) = &input {
            place *= input;
        }
    }
    let per_token = Layout::heads(heads, dims.token);

    let raw_value = raw("value_compiler", dims.token, bias, key_value)?;
    let (input, output) = value.factors(codes);
    let part = |head: usize| {
        let rows = head * width..(head + 1) * width;
        let weight = &raw_value.weight[rows.start * dims.token..rows.end * dims.token];
        let bias = raw_value.bias.as_ref().map(|bias| &bias[rows.clone()]);
        let output = output.as_ref().map(|output| {
            Blocks::from_items(output.slice(s![.., rows.clone()]), Layout::plain(width))
        });
        let layouts = (token, Layout::plain(width));
        let modulation = Modulation {
            input: None,
            output,
        };
        (Projection::of(weight, bias, layouts, precision), modulation)
    };
    let (projections, outputs) = (0..heads).map(part).unzip();
    let gamma = config.layer_scale.map(|_| layer_scale(scope, dims.state));
    let receivers = Receivers {
        queries: Queries::fixed(folded.view(), per_token, width, tools),
        keys: per_token,
        values: per_token,
        heads,
        links: Connections::ALL,
        fold: Some(Fold {
            heads: projections,
            input: input.map(|input| Blocks::from_items(input.view(), token)),
            outputs,
        }),
        exit_modulation: exit.modulation(codes),
        exit,
        gamma: gamma.transpose()?,
        residual: config.residual,
    };
    let tokens = TokenSide::Normal {
        norm: Norm::load(&scope.sub("sender_layernorm"), dims.token)?,
        store: Store::shared(token.rows(), precision),
    };
    Ok((tokens, Uptake::Attention(Box::new(receivers))))
}
