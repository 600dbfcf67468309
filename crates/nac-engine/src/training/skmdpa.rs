//! Attention of receivers to senders along links, with layer norms, projections and residual.

use super::attention::{AttentionShape, Links};
use super::linear::Linear;
use super::norm_project::{NormProject, NormProjectOperands};
use super::operands::{
    Items, NormGradient, NormOperand, ProjectionGradient, ProjectionOperand, States, check_keep,
    check_sizes,
};
use crate::error::{EngineError, Result};

pub(super) const OP: &str = "Skmdpa";

/// Sizes and settings of a [`Skmdpa`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SkmdpaShape {
    /// Number of examples.
    pub batch: usize,
    /// Number of receivers.
    pub receivers: usize,
    /// Number of senders.
    pub senders: usize,
    /// Width of the receivers' states.
    pub state: usize,
    /// Width of the senders' states.
    pub sender_state: usize,
    /// Number of heads.
    pub heads: usize,
    /// Width of a head.
    pub head_dim: usize,
    /// Whether the result is added to the receivers' states.
    pub residual: bool,
}

impl SkmdpaShape {
    /// Width of queries, keys, values and messages.
    pub fn inner(&self) -> usize {
        self.heads * self.head_dim
    }

    pub(super) fn receiving(&self) -> Items {
        Items {
            batch: self.batch,
            modules: self.receivers,
        }
    }

    pub(super) fn sending(&self) -> Items {
        Items {
            batch: self.batch,
            modules: self.senders,
        }
    }

    pub(super) fn attention(&self) -> AttentionShape {
        AttentionShape {
            receivers: self.receivers,
            senders: self.senders,
            heads: self.heads,
            head_dim: self.head_dim,
        }
    }
}

/// Operands of a [`Skmdpa`].
#[derive(Debug, Clone, Copy)]
pub struct SkmdpaOperands<'a> {
    /// `[batch, receivers, state]`
    pub receivers: States<'a>,
    /// `[batch, senders, sender_state]`; none if receivers attend to each other.
    pub senders: Option<States<'a>>,
    /// Layer norm of the receivers.
    pub receiver_norm: NormOperand<'a>,
    /// Layer norm of the senders; none if it is that of the receivers.
    pub sender_norm: Option<NormOperand<'a>>,
    /// From receivers to queries.
    pub query: ProjectionOperand<'a>,
    /// From senders to keys.
    pub key: ProjectionOperand<'a>,
    /// From senders to values.
    pub value: ProjectionOperand<'a>,
    /// From messages to the receivers' states.
    pub exit: ProjectionOperand<'a>,
    /// Logarithms of links.
    pub links: Links<'a>,
    /// `[batch, senders]`, false for padding.
    pub mask: Option<&'a [bool]>,
    /// `[batch]`: factor of the branch of each example (drop-path).
    pub keep: Option<&'a [f32]>,
}

/// Gradients of [`SkmdpaOperands`], overwritten.
#[derive(Debug)]
pub struct SkmdpaGradients<'a> {
    /// As the receivers' states, if it is wanted; with what they get as senders, if there are no others.
    pub receivers: Option<&'a mut [f32]>,
    /// As the senders' states, if it is wanted.
    pub senders: Option<&'a mut [f32]>,
    /// Of the receivers' norm, and of what it does for senders, if they have no norm of their own.
    pub receiver_norm: NormGradient<'a>,
    /// Of the senders' norm, if there is one.
    pub sender_norm: Option<NormGradient<'a>>,
    /// Of the queries' projection.
    pub query: ProjectionGradient<'a>,
    /// Of the keys' projection.
    pub key: ProjectionGradient<'a>,
    /// Of the values' projection.
    pub value: ProjectionGradient<'a>,
    /// Of the messages' projection.
    pub exit: ProjectionGradient<'a>,
    /// As the logarithms of links, if it is wanted.
    pub links: Option<&'a mut [f32]>,
}

/// `y = [x +] keep · (W_e (m ⊙ s_e) + b_e)` with the messages `m = softmax(q kᵀ/√d + log links) v`, queries from the normalised
/// receivers, keys and values from the normalised senders.
///
/// Keeps queries, keys, values, messages, and the logarithms of the softmax's sums.
#[derive(Debug)]
pub struct Skmdpa {
    pub(super) shape: SkmdpaShape,
    /// Queries, keys and values of states that receive and send through one norm.
    pub(super) own: NormProject<3>,
    pub(super) receive: NormProject<1>,
    pub(super) send: NormProject<2>,
    pub(super) exit: Linear,
    /// Queries, keys, values.
    pub(super) projected: [Vec<f32>; 3],
    pub(super) messages: Vec<f32>,
    pub(super) log_sums: Vec<f32>,
    /// Gradients of a norm that receivers and senders share.
    pub(super) shared_norm: Vec<f32>,
    pub(super) ready: bool,
}

/// How queries, keys and values are made.
#[derive(Debug, Clone, Copy)]
pub(super) enum Sources<'a> {
    /// Of the same normalised states.
    Own(NormProjectOperands<'a, 3>),
    /// Of normalised receivers, and of normalised senders.
    Two(Two<'a>),
}

/// Operands of queries, and of keys and values.
#[derive(Debug, Clone, Copy)]
pub(super) struct Two<'a> {
    pub(super) receive: NormProjectOperands<'a, 1>,
    pub(super) send: NormProjectOperands<'a, 2>,
    /// Whether the senders are the receivers.
    pub(super) own: bool,
}

impl<'a> Sources<'a> {
    pub(super) fn new(operands: &SkmdpaOperands<'a>) -> Self {
        let SkmdpaOperands {
            query, key, value, ..
        } = *operands;
        let norm = operands.receiver_norm;
        let states = operands.receivers;
        if operands.senders.is_none() && operands.sender_norm.is_none() {
            let projections = [query, key, value];
            return Self::Own(NormProjectOperands {
                states,
                norm,
                projections,
            });
        }
        let send = NormProjectOperands {
            states: operands.senders.unwrap_or(states),
            norm: operands.sender_norm.unwrap_or(norm),
            projections: [key, value],
        };
        let projections = [query];
        Self::Two(Two {
            receive: NormProjectOperands {
                states,
                norm,
                projections,
            },
            send,
            own: operands.senders.is_none(),
        })
    }
}

impl Skmdpa {
    /// The attention of `shape`.
    ///
    /// # Errors
    /// A size is zero.
    pub fn new(shape: SkmdpaShape) -> Result<Self> {
        let sizes = [
            ("batch", shape.batch),
            ("receivers", shape.receivers),
            ("senders", shape.senders),
            ("state", shape.state),
            ("sender_state", shape.sender_state),
            ("heads", shape.heads),
            ("head_dim", shape.head_dim),
        ];
        check_sizes(OP, &sizes)?;
        let (inner, state) = (shape.inner(), shape.state);
        let (receiving, sending) = (shape.receiving(), shape.sending());
        Ok(Self {
            shape,
            own: NormProject::new(receiving, state, [inner; 3]),
            receive: NormProject::new(receiving, state, [inner]),
            send: NormProject::new(sending, shape.sender_state, [inner; 2]),
            exit: Linear::new((state, inner)),
            projected: [const { Vec::new() }; 3],
            messages: Vec::new(),
            log_sums: Vec::new(),
            shared_norm: Vec::new(),
            ready: false,
        })
    }

    /// Sizes and settings.
    pub fn shape(&self) -> SkmdpaShape {
        self.shape
    }

    pub(super) fn check(&self, operands: &SkmdpaOperands<'_>) -> Result<()> {
        let shape = self.shape;
        if operands.senders.is_none() {
            let own = [shape.receivers, shape.state];
            if own != [shape.senders, shape.sender_state] {
                return Err(EngineError::Input {
                    op: OP,
                    expected: format!("senders of {:?}", [shape.senders, shape.sender_state]),
                    found: format!("no senders but the receivers of {own:?}"),
                });
            }
        }
        match Sources::new(operands) {
            Sources::Own(all) => self.own.check(OP, "receivers", &all)?,
            Sources::Two(Two { receive, send, .. }) => {
                self.receive.check(OP, "receivers", &receive)?;
                self.send.check(OP, "senders", &send)?;
            }
        }
        operands
            .exit
            .check(OP, shape.receiving(), self.exit.widths())?;
        operands.links.check(OP, shape.attention(), shape.batch)?;
        if let Some(mask) = operands.mask {
            EngineError::check_length(OP, "mask", mask.len(), &[shape.batch, shape.senders])?;
        }
        check_keep(OP, operands.keep, shape.batch)
    }
}
