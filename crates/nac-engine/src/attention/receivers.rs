//! Receivers: queries, attention to all senders head by head, exit projection, residual.

use super::connections::Connections;
use super::links::Links;
use super::query::Queries;
use super::store::Store;
use crate::blocks::{Blocks, Layout};
use crate::layer::{Modulation, Projection, Target, Tools};
use crate::simd::Row;
use crate::simd::attend::{Attend, Senders, Source};
use crate::simd::norm::Multiply;
use crate::team::{Room, Scratch};

/// Most sets of senders that one attention hears: read-in modules and processors.
pub(super) const SETS: usize = 2;

/// A set of senders as receivers hear it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Heard<'a> {
    /// Keys and values of all blocks of one example.
    pub(crate) stored: &'a [Row],
    pub(crate) store: Store,
    pub(crate) items: usize,
    /// Which of them are there; all without a mask.
    pub(crate) mask: Option<&'a [bool]>,
}

/// Attention of one set of receivers.
#[derive(Debug, Clone)]
pub(crate) struct Receivers {
    pub(crate) queries: Queries,
    /// Queries and keys.
    pub(crate) keys: Layout,
    /// What is heard.
    pub(crate) values: Layout,
    pub(crate) heads: usize,
    pub(crate) links: Connections,
    /// Value projection after the attention (folded read-in).
    pub(crate) fold: Option<Fold>,
    pub(crate) exit: Projection,
    pub(crate) exit_modulation: Modulation,
    /// Layer scale.
    pub(crate) gamma: Option<Vec<f32>>,
    pub(crate) residual: bool,
}

/// From what a module heard of the tokens to its message, head by head.
#[derive(Debug, Clone)]
pub(crate) struct Fold {
    pub(crate) heads: Vec<Projection>,
    /// Factor of each module on token features.
    pub(crate) input: Option<Blocks>,
    pub(crate) outputs: Vec<Modulation>,
}

impl Receivers {
    pub(crate) fn room(&self) -> Room {
        let (input, query) = self.queries.rows();
        let heard = self.heads * self.values.head_rows();
        let folded = if self.fold.is_some() {
            self.exit.input_rows()
        } else {
            0
        };
        let room = Room {
            normal: input,
            operand: input
                .max(self.exit.input_rows())
                .max(2 * self.values.head_rows()),
            query: query.max(folded),
            message: heard.max(query),
            hidden: 0,
        };
        match &self.links {
            Connections::Dense(_) => room,
            Connections::Sparse(_) => room.or(self.room_for_edges()),
        }
    }

    /// Changes the states of some blocks of the receivers, the first of which is block `first`.
    pub(crate) fn hear(
        &self,
        tools: &Tools,
        first: usize,
        states: &mut [Row],
        sets: &[Heard<'_>],
        scratch: &mut Scratch,
    ) {
        match &self.links {
            Connections::Dense(links) => {
                self.hear_all(links, tools, first, states, sets, scratch);
            }
            Connections::Sparse(edges) => {
                self.hear_edges(edges, tools, first, states, sets, scratch);
            }
        }
        let stride = self.exit.output_rows();
        let count = states.len() / stride;
        let rows = count * self.exit.input_rows();
        let message = match &self.fold {
            Some(fold) => {
                for offset in 0..count {
                    self.unfold(fold, tools, (first, offset), scratch);
                }
                &scratch.query[..rows]
            }
            None => &scratch.message[..rows],
        };
        let target = Target {
            y: states,
            stride,
            gamma: self.gamma.as_deref(),
            add: self.residual,
        };
        let room = &mut scratch.operand;
        self.exit
            .apply(tools, &self.exit_modulation, first, message, room, target);
    }

    /// What everybody says, as far as links let it through, into `message`. Keys and values of a head stay in the cache
    /// while all blocks hear them.
    fn hear_all(
        &self,
        links: &[Links],
        tools: &Tools,
        first: usize,
        states: &[Row],
        sets: &[Heard<'_>],
        scratch: &mut Scratch,
    ) {
        let precision = tools.precision;
        self.queries
            .compute(tools, precision, first, states, scratch);
        let (key, value) = (self.keys.head_rows(), self.values.head_rows());
        let heard = self.heads * value;
        let count = states.len() / self.exit.output_rows();
        for head in 0..self.heads {
            for offset in 0..count {
                let mut senders = [Senders::NOBODY; SETS];
                for (index, (set, senders)) in sets.iter().zip(&mut senders).enumerate() {
                    let links = links.get(index);
                    *senders = Senders {
                        source: set.store.source(set.stored, head, key, value),
                        items: set.items,
                        bias: links.and_then(|links| links.bias(first + offset)),
                        cut: links.is_some_and(Links::is_cut),
                        factor: links.and_then(|links| links.factor(first + offset)),
                        mask: set.mask,
                    };
                }
                let (place, computed) = ((first, offset), &scratch.query);
                tools.arch.dispatch(Attend {
                    queries: self.queries.head(tools, place, head, key, computed),
                    senders: &senders[..sets.len().min(SETS)],
                    scores: &mut scratch.scores,
                    pairs: bytemuck::cast_slice_mut(&mut scratch.pairs),
                    out: &mut scratch.message[offset * heard + head * value..][..value],
                });
            }
        }
    }

    /// From what a block heard of the tokens, in `message`, to its message, in `query`.
    fn unfold(
        &self,
        fold: &Fold,
        tools: &Tools,
        (first, offset): (usize, usize),
        scratch: &mut Scratch,
    ) {
        let value = self.values.head_rows();
        let message = &scratch.message[offset * self.heads * value..];
        let query = &mut scratch.query[offset * self.exit.input_rows()..];
        let heads = fold.heads.iter().zip(&fold.outputs).enumerate();
        for (head, (projection, modulation)) in heads {
            let heard = &message[head * value..][..value];
            let (scaled, room) = scratch.operand.split_at_mut(value);
            let x = match &fold.input {
                Some(factor) => {
                    let factor = factor.block(first + offset);
                    let y = &mut *scaled;
                    tools.arch.dispatch(Multiply {
                        x: heard,
                        factor,
                        y,
                    });
                    scaled
                }
                None => heard,
            };
            let rows = projection.output_rows();
            let target = Target::overwrite(&mut query[head * rows..][..rows], rows);
            projection.apply(tools, modulation, first + offset, x, room, target);
        }
    }
}

impl Senders<'_> {
    /// No senders at all.
    const NOBODY: Self = Self {
        source: Source::F32 {
            blocks: &[],
            stride: 1,
            key: 0,
            value: 0,
        },
        items: 0,
        bias: None,
        cut: false,
        factor: None,
        mask: None,
    };
}
