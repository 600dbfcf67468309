//! What the attention of one example reads and writes.

use std::ops::Range;

use super::columns::Columns;
use super::graph::EdgeGraph;

/// Sizes of the attention of one example.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttentionShape {
    /// Number of receivers.
    pub receivers: usize,
    /// Number of senders.
    pub senders: usize,
    /// Number of heads.
    pub heads: usize,
    /// Width of a head's queries, keys and values.
    pub head_dim: usize,
}

impl AttentionShape {
    /// Width of the queries, keys and values of all heads.
    pub fn width(&self) -> usize {
        self.heads * self.head_dim
    }
}

/// Logarithms of the links of one example, added to the scores of every head.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ExampleLinks<'a> {
    /// Everything is linked, and nothing is added.
    None,
    /// `[receivers, senders]`; −∞ is no link.
    Dense(&'a [f32]),
    /// Only these links.
    Edges {
        /// Between whom.
        graph: &'a EdgeGraph,
        /// One for each edge.
        log: &'a [f32],
    },
}

/// Operands of the attention of one example.
#[derive(Debug, Clone)]
pub(crate) struct Example<'a> {
    pub(crate) shape: AttentionShape,
    /// Heads to attend with.
    pub(crate) heads: Range<usize>,
    /// `[receivers, heads · head_dim]`
    pub(crate) queries: &'a [f32],
    /// `[senders, heads · head_dim]`
    pub(crate) keys: &'a [f32],
    /// `[senders, heads · head_dim]`
    pub(crate) values: &'a [f32],
    pub(crate) links: ExampleLinks<'a>,
    /// `[senders]`, false for padding, which nobody attends to.
    pub(crate) mask: Option<&'a [bool]>,
}

impl<'a> Example<'a> {
    /// Factor on `q · k`: `1/√d`. If there is nothing but padding, zero: all of it has the same weight, as if every
    /// score were replaced by the same large negative number.
    pub(super) fn scale(&self) -> f32 {
        if self.mask.is_some_and(|mask| !mask.contains(&true)) {
            return 0.0;
        }
        1.0 / (self.shape.head_dim as f32).sqrt()
    }

    /// The mask, if it leaves anything.
    pub(super) fn padding(&self) -> Option<&'a [bool]> {
        self.mask.filter(|mask| mask.contains(&true))
    }
}

/// Results of the forward pass, and the gradient that comes from above.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ExampleOutput<'a> {
    /// `[receivers, heads · head_dim]`
    pub(crate) out: &'a [f32],
    /// `[heads, receivers]`
    pub(crate) log_sums: &'a [f32],
    /// Gradient of `out`.
    pub(crate) d_out: &'a [f32],
}

/// Gradients of the operands of one example, in their shapes, but for columns of other heads.
#[derive(Debug)]
pub(crate) struct ExampleGradients<'a> {
    pub(crate) queries: Columns<'a>,
    pub(crate) keys: Columns<'a>,
    pub(crate) values: Columns<'a>,
    /// `[receivers, senders]`, or one for each edge; left alone if there are no links.
    pub(crate) links: Option<&'a mut [f32]>,
}
