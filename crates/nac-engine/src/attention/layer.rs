//! Attention of receivers: queries, attention to all senders head by head, exit projection, residual.

use super::connections::Connections;
use super::key_value::KeyValues;
use super::links::Links;
use super::query::Queries;
use crate::backend::Backend;
use crate::blocks::{Blocks, Layout};
use crate::layer::{Modulation, Projection, Target};
use crate::scratch::{Scratch, ScratchSize};
use crate::simd::Row;
use crate::simd::attend::{Attend, HeadSenders};
use crate::simd::norm::Multiply;

/// Most sets of senders that one attention attends to: read-in modules and processors.
pub(super) const MAX_SETS: usize = 2;

/// Attention of one set of receivers.
#[derive(Debug, Clone)]
pub(crate) struct Attention {
    pub(crate) queries: Queries,
    /// Of queries and keys.
    pub(crate) keys: Layout,
    pub(crate) values: Layout,
    pub(crate) heads: usize,
    pub(crate) connections: Connections,
    /// Value projection after the attention (folded read-in).
    pub(crate) fold: Option<Fold>,
    pub(crate) exit: Projection,
    pub(crate) exit_modulation: Modulation,
    /// Layer scale.
    pub(crate) gamma: Option<Vec<f32>>,
    pub(crate) residual: bool,
}

/// From a module's weighted sum of tokens to its message, head by head.
#[derive(Debug, Clone)]
pub(crate) struct Fold {
    pub(crate) heads: Vec<(Projection, Modulation)>,
    /// Factor of each module on token features.
    pub(crate) input: Option<Blocks>,
}

impl Attention {
    pub(crate) fn scratch_size(&self) -> ScratchSize {
        let (input, query) = self.queries.rows();
        let message = self.heads * self.values.head_rows();
        let folded = match self.fold {
            Some(_) => self.exit.input_rows(),
            None => 0,
        };
        let size = ScratchSize {
            normal: input,
            operand: input
                .max(self.exit.input_rows())
                .max(2 * self.values.head_rows()),
            query: query.max(folded),
            message: message.max(query),
            hidden: 0,
        };
        match &self.connections {
            Connections::Dense(_) => size,
            Connections::Sparse(_) => size.max(self.edge_scratch_size()),
        }
    }

    /// Updates the states of some blocks of receivers, the first of which is block `first`.
    pub(crate) fn apply(
        &self,
        backend: &Backend,
        first: usize,
        states: &mut [Row],
        sources: &[KeyValues<'_>],
        scratch: &mut Scratch,
    ) {
        match &self.connections {
            Connections::Dense(links) => {
                self.attend_dense(links, backend, first, states, sources, scratch);
            }
            Connections::Sparse(edges) => {
                self.attend_edges(edges, backend, first, states, sources, scratch);
            }
        }
        let stride = self.exit.output_rows();
        let count = states.len() / stride;
        let rows = count * self.exit.input_rows();
        let message = match &self.fold {
            Some(fold) => {
                for offset in 0..count {
                    self.unfold(fold, backend, (first, offset), scratch);
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
        let (modulation, operand) = (&self.exit_modulation, &mut scratch.operand);
        (self.exit).apply(backend, modulation, first, message, operand, target);
    }

    /// Attends to all senders, as far as links let them through, into `message`. Keys and values of a head stay in the
    /// cache while all blocks attend to them.
    fn attend_dense(
        &self,
        links: &[Links],
        backend: &Backend,
        first: usize,
        states: &[Row],
        sources: &[KeyValues<'_>],
        scratch: &mut Scratch,
    ) {
        let precision = backend.precision;
        (self.queries).compute(backend, precision, first, states, scratch);
        debug_assert!(sources.len() <= MAX_SETS, "{} sets", sources.len());
        let (key, value) = (self.keys.head_rows(), self.values.head_rows());
        let message_rows = self.heads * value;
        let count = states.len() / self.exit.output_rows();
        for head in 0..self.heads {
            for offset in 0..count {
                let block = (first, offset);
                let queries = (self.queries).head(precision, block, head, key, &scratch.query);
                let mut senders = [HeadSenders::NONE; MAX_SETS];
                for (index, (set, senders)) in sources.iter().zip(&mut senders).enumerate() {
                    let links = (!links.is_empty()).then(|| &links[index]);
                    *senders = HeadSenders {
                        operands: set.layout.operands(queries, set.stored, head, value),
                        items: set.items,
                        bias: links.and_then(|links| links.bias(first + offset)),
                        cut: links.is_some_and(Links::is_cut),
                        factor: links.and_then(|links| links.factor(first + offset)),
                        mask: set.mask,
                    };
                }
                backend.arch.dispatch(Attend {
                    senders: &senders[..sources.len()],
                    scores: &mut scratch.scores,
                    pairs: bytemuck::cast_slice_mut(&mut scratch.pairs),
                    out: &mut scratch.message[offset * message_rows + head * value..][..value],
                });
            }
        }
    }

    /// From the weighted sums of tokens of a block, in `message`, to its message, in `query`.
    fn unfold(
        &self,
        fold: &Fold,
        backend: &Backend,
        (first, offset): (usize, usize),
        scratch: &mut Scratch,
    ) {
        let (value, block) = (self.values.head_rows(), first + offset);
        let message = &scratch.message[offset * self.heads * value..];
        let query = &mut scratch.query[offset * self.exit.input_rows()..];
        for (head, (projection, modulation)) in fold.heads.iter().enumerate() {
            let x = &message[head * value..][..value];
            let (scaled, operand) = scratch.operand.split_at_mut(value);
            let x = match &fold.input {
                Some(factor) => {
                    let (factor, y) = (factor.block(block), &mut *scaled);
                    backend.arch.dispatch(Multiply { x, factor, y });
                    scaled
                }
                None => x,
            };
            let rows = projection.output_rows();
            let target = Target::overwrite(&mut query[head * rows..][..rows], rows);
            projection.apply(backend, modulation, block, x, operand, target);
        }
    }
}
