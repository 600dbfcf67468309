//! Attention: keys and values of senders, queries of receivers, and the links between them.
//!
//! One form serves all layers. Senders store keys and values in blocks ([`KeyValueProjection`]). Receivers attend to
//! them ([`Attention`]) with queries that depend on the input in propagators, and are fixed in read-in, read-out and the
//! cross-attentions of Perceiver IO. Read-in attention is folded: every module has a separate projector, but
//! `score(u, v) = ((W_kᵀ q_u) ⊙ s_u) · x_v` and `Σ_v a_uv V_u x_v = W_v (s'_u ⊙ Σ_v a_uv x_v) + b_v`, so the tokens
//! themselves are keys and values, once for all modules.
//!
//! Where signatures link few modules, [`Connections`] holds a graph, and receivers attend to its edges only.

mod connections;
mod edges;
mod key_value;
mod key_value_layout;
mod layer;
mod links;
mod query;
mod sparse;

pub(crate) use connections::{ConnectionOptions, Connections};
pub(crate) use key_value::{KeyValueProjection, KeyValues};
pub(crate) use key_value_layout::KeyValueLayout;
pub(crate) use layer::{Attention, Fold};
pub(crate) use links::{LinkSettings, factors, links, log_links};
pub(crate) use query::Queries;
