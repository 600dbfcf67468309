//! Attention: who sends, who receives, and how they are linked.
//!
//! One form serves all of them. Senders store keys and values in blocks ([`Senders`]); receivers ask with their
//! queries ([`Receivers`]), which depend on the input for propagators and are fixed for read-in, read-out and the
//! cross-attentions of Perceiver IO. Read-in attention is folded: every module has its own projector, but
//! `score(u, v) = ((W_kᵀ q_u) ⊙ s_u) · x_v` and `Σ_v a_uv V_u x_v = W_v (s'_u ⊙ Σ_v a_uv x_v) + b_v`, so tokens
//! themselves are keys and values, once for all modules.
//!
//! Where signatures link few modules, [`Connections`] holds a graph, and receivers hear only their own senders.

mod connections;
mod edges;
mod links;
mod query;
mod receivers;
mod senders;
mod sparse;
mod store;

pub(crate) use connections::{Connections, Wanted};
pub(crate) use links::{LinkSettings, factors, links, log_links};
pub(crate) use query::Queries;
pub(crate) use receivers::{Fold, Heard, Receivers};
pub(crate) use senders::Senders;
pub(crate) use store::{Lines, Store};

use super::simd::{WIDTH, attend, edges as over_edges};

/// Senders whose scores are held at a time.
pub(crate) const CHUNK_ROWS: usize = attend::CHUNK * WIDTH;

/// Rows that hold scores, of either kind of attention.
pub(crate) const SCORE_ROWS: usize = if over_edges::SCORES > CHUNK_ROWS * WIDTH {
    over_edges::SCORES / WIDTH
} else {
    CHUNK_ROWS
};
