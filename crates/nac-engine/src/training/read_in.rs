//! Attention of modules to tokens, with the projections of keys and values folded into queries and messages.
//!
//! Module `u` has the keys `W_k (x_v ⊙ s_u) + b_k` of tokens `v`, so that with queries `q_u` scores are
//! `((W_kᵀ q_u) ⊙ s_u) · x_v` up to a constant in `v`, which drops out of the softmax; and likewise its message is
//! `W_v (s'_u ⊙ Σ_v a_uv x_v) + b_v`. Neither keys nor values of tokens are ever computed.

use super::heads::Heads;
use super::linear::Linear;
use super::norm_project::{NormProject, NormProjectOperands};
use super::operands::{
    Items, NormGradient, NormOperand, ProjectionGradient, ProjectionOperand, States, check_keep,
    check_sizes,
};
use crate::error::{EngineError, Result};

pub(super) const OP: &str = "ReadInAttention";

/// Sizes and settings of a [`ReadInAttention`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadInShape {
    /// Number of examples.
    pub batch: usize,
    /// Number of modules.
    pub modules: usize,
    /// Number of tokens.
    pub tokens: usize,
    /// Width of the states.
    pub state: usize,
    /// Width of a token.
    pub token_dim: usize,
    /// Number of heads.
    pub heads: usize,
    /// Width of a head.
    pub head_dim: usize,
    /// Whether the result is added to the states.
    pub residual: bool,
}

impl ReadInShape {
    pub(super) fn items(&self) -> Items {
        Items {
            batch: self.batch,
            modules: self.modules,
        }
    }

    pub(super) fn heads(&self) -> Heads {
        Heads {
            heads: self.heads,
            head_dim: self.head_dim,
            width: self.token_dim,
        }
    }

    /// Scores are divided by the square root of the tokens' width; this factor makes it that of a head.
    pub(super) fn score_factor(&self) -> f32 {
        (self.token_dim as f32 / self.head_dim as f32).sqrt()
    }
}

/// Operands of a [`ReadInAttention`].
#[derive(Debug, Clone, Copy)]
pub struct ReadInOperands<'a> {
    /// `[batch, modules, state]`
    pub states: States<'a>,
    /// `[batch, tokens, token_dim]`
    pub tokens: &'a [f32],
    /// `[batch, tokens]`, false for padding.
    pub mask: Option<&'a [bool]>,
    /// Layer norm of the states.
    pub receiver_norm: NormOperand<'a>,
    /// Layer norm of the tokens.
    pub sender_norm: NormOperand<'a>,
    /// From states to queries.
    pub query: ProjectionOperand<'a>,
    /// From tokens to keys; scale `[modules, token_dim]` or `[batch, modules, token_dim]`. Its bias has no effect.
    pub key: ProjectionOperand<'a>,
    /// From tokens to values; scale as of the keys.
    pub value: ProjectionOperand<'a>,
    /// From messages to states.
    pub exit: ProjectionOperand<'a>,
    /// `[batch]`: factor of the branch of each example (drop-path).
    pub keep: Option<&'a [f32]>,
}

/// Gradients of [`ReadInOperands`], overwritten.
#[derive(Debug)]
pub struct ReadInGradients<'a> {
    /// As the states, if it is wanted.
    pub states: Option<&'a mut [f32]>,
    /// As the tokens, if it is wanted.
    pub tokens: Option<&'a mut [f32]>,
    /// Of the states' norm.
    pub receiver_norm: NormGradient<'a>,
    /// Of the tokens' norm.
    pub sender_norm: NormGradient<'a>,
    /// Of the queries' projection.
    pub query: ProjectionGradient<'a>,
    /// Of the keys' projection; zero for its bias.
    pub key: ProjectionGradient<'a>,
    /// Of the values' projection.
    pub value: ProjectionGradient<'a>,
    /// Of the messages' projection.
    pub exit: ProjectionGradient<'a>,
}

/// `y = [x +] keep · (W_e (m ⊙ s_e) + b_e)` with messages `m` read from the normalised tokens.
///
/// Keeps queries, folded queries, what each head read, messages, and the logarithms of the softmax's sums. Queries are those of
/// one example if states and scales are shared.
#[derive(Debug)]
pub struct ReadInAttention {
    pub(super) shape: ReadInShape,
    pub(super) query: NormProject<1>,
    pub(super) exit: Linear,
    /// `[token_dim, heads · head_dim]` of keys and of values.
    pub(super) transposed: [Vec<f32>; 2],
    /// Mean and reciprocal deviation of each token.
    pub(super) token_statistics: Vec<f32>,
    pub(super) queries: Vec<f32>,
    /// `[batch or 1, modules, heads, token_dim]`
    pub(super) folded: Vec<f32>,
    /// `[batch, modules, heads, token_dim]`
    pub(super) read: Vec<f32>,
    pub(super) log_sums: Vec<f32>,
    pub(super) messages: Vec<f32>,
    pub(super) ready: bool,
}

impl ReadInAttention {
    /// The attention of `shape`.
    ///
    /// # Errors
    /// A size is zero.
    pub fn new(shape: ReadInShape) -> Result<Self> {
        let sizes = [
            ("batch", shape.batch),
            ("modules", shape.modules),
            ("tokens", shape.tokens),
            ("state", shape.state),
            ("token_dim", shape.token_dim),
            ("heads", shape.heads),
            ("head_dim", shape.head_dim),
        ];
        check_sizes(OP, &sizes)?;
        let inner = shape.heads().inner();
        Ok(Self {
            shape,
            query: NormProject::new(shape.items(), shape.state, [inner]),
            exit: Linear::new((shape.state, inner)),
            transposed: [const { Vec::new() }; 2],
            token_statistics: Vec::new(),
            queries: Vec::new(),
            folded: Vec::new(),
            read: Vec::new(),
            log_sums: Vec::new(),
            messages: Vec::new(),
            ready: false,
        })
    }

    /// Sizes and settings.
    pub fn shape(&self) -> ReadInShape {
        self.shape
    }

    /// Examples of which folded queries are computed.
    pub(super) fn folded_batch(&self, operands: &ReadInOperands<'_>) -> usize {
        let items = self.shape.items();
        if operands.key.is_shared(items, self.shape.token_dim) {
            self.query.items(&queries(operands)).batch
        } else {
            items.batch
        }
    }

    pub(super) fn check(&self, operands: &ReadInOperands<'_>) -> Result<()> {
        let ReadInShape {
            batch,
            tokens,
            token_dim,
            ..
        } = self.shape;
        self.query.check(OP, "states", &queries(operands))?;
        let length = operands.tokens.len();
        EngineError::check_length(OP, "tokens", length, &[batch, tokens, token_dim])?;
        if let Some(mask) = operands.mask {
            EngineError::check_length(OP, "mask", mask.len(), &[batch, tokens])?;
        }
        operands.sender_norm.check(OP, token_dim)?;
        let (items, widths) = (self.shape.items(), (self.shape.heads().inner(), token_dim));
        operands.key.check(OP, items, widths)?;
        operands.value.check(OP, items, widths)?;
        operands.exit.check(OP, items, self.exit.widths())?;
        check_keep(OP, operands.keep, batch)
    }
}

/// The operands of the queries.
pub(super) fn queries<'a>(operands: &ReadInOperands<'a>) -> NormProjectOperands<'a, 1> {
    NormProjectOperands {
        states: operands.states,
        norm: operands.receiver_norm,
        projections: [operands.query],
    }
}
