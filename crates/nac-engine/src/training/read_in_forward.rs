//! What [`ReadInAttention`] computes from its queries.

use super::attention::{self, AttentionShape, Columns, Example, ExampleLinks};
use super::compute::{Compute, Scratch};
use super::exit::exit_rows;
use super::finish::Finish;
use super::memory::Buffer;
use super::operands::Items;
use super::partition::{Partition, RowParts, Span};
use super::product::PackedWeight;
use super::read_in::{OP, ReadInAttention, ReadInOperands, ReadInShape, queries};
use super::rows::{Combine, Normalize, Rows, Scale};
use crate::error::{EngineError, Result};

impl ReadInAttention {
    /// New states of the modules.
    ///
    /// # Shapes
    /// - y: `[batch, modules, state]`
    ///
    /// # Errors
    /// An operand has another shape.
    pub fn forward(
        &mut self,
        compute: &Compute,
        operands: &ReadInOperands<'_>,
        y: &mut [f32],
    ) -> Result<()> {
        self.check(operands)?;
        let ReadInShape {
            batch,
            modules,
            state,
            ..
        } = self.shape;
        EngineError::check_length(OP, "y", y.len(), &[batch, modules, state])?;
        self.query
            .forward(compute, &queries(operands), [&mut self.queries]);
        let [key, value] = &mut self.transposed;
        self.shape.heads().transpose(operands.key.weight, key);
        self.shape.heads().transpose(operands.value.weight, value);
        compute.with_workspace(|workspace| {
            let tokens = &mut workspace.read_in.tokens;
            forward(self, compute, operands, tokens, y);
        });
        self.ready = true;
        Ok(())
    }
}

/// From queries to new states.
fn forward(
    block: &mut ReadInAttention,
    compute: &Compute,
    operands: &ReadInOperands<'_>,
    tokens: &mut Buffer,
    y: &mut [f32],
) {
    let (shape, items, wide) = (block.shape, block.shape.items(), block.shape.heads().wide());
    let tokens = tokens.take(operands.tokens.len());
    normalize(block, compute, operands, tokens);
    fold(block, compute, operands);
    block.read.resize(items.rows() * wide, 0.0);
    block.log_sums.resize(items.rows() * shape.heads, 0.0);
    block
        .messages
        .resize(items.rows() * shape.heads().inner(), 0.0);
    let mut read = std::mem::take(&mut block.read);
    let mut log_sums = std::mem::take(&mut block.log_sums);
    let mut messages = std::mem::take(&mut block.messages);
    let partition = Partition::new(items);
    let parts = (
        partition.rows(&mut read, wide),
        partition.rows(&mut log_sums, shape.heads),
        partition.rows(&mut messages, shape.heads().inner()),
        partition.rows(y, shape.state),
    );
    let (block_ref, tokens) = (&*block, &*tokens);
    let exit = block.exit.forward(compute, operands.exit.weight);
    compute.each(
        partition.parts(),
        parts,
        |index, (read, sums, messages, y), scratch| {
            let span = partition.span(index);
            let [read, sums, messages, y] = [read, sums, messages, y].map(RowParts::into_slice);
            for (example, part) in span.examples(items.modules) {
                let read = &mut read[part.within(span.first, wide)];
                let sums = &mut sums[part.within(span.first, shape.heads)];
                let operands = self::example(block_ref, operands, (example, part), tokens);
                let mut read = Columns::all(read, shape.token_dim);
                attention::forward(compute, &operands, &mut read, sums, &mut scratch.attention);
            }
            for part in span.blocks() {
                let read = &read[part.within(span.first, wide)];
                let messages = &mut messages[part.within(span.first, shape.heads().inner())];
                let y = &mut y[part.within(span.first, shape.state)];
                close(
                    block_ref,
                    (compute, operands, &exit),
                    part,
                    (read, messages, y),
                    scratch,
                );
            }
        },
    );
    (block.read, block.log_sums, block.messages) = (read, log_sums, messages);
}

/// Normalises all tokens and keeps their statistics.
fn normalize(
    block: &mut ReadInAttention,
    compute: &Compute,
    operands: &ReadInOperands<'_>,
    tokens: &mut [f32],
) {
    let width = block.shape.token_dim;
    let partition = token_partition(block);
    block.token_statistics.resize(tokens.len() / width * 2, 0.0);
    let parts = (
        partition.rows(tokens, width),
        partition.rows(&mut block.token_statistics, 2),
    );
    compute.each(partition.parts(), parts, |index, (y, statistics), _| {
        compute.arch().dispatch(Normalize {
            x: Rows {
                data: operands.tokens,
                width,
            },
            first: partition.span(index).first,
            affine: Some(operands.sender_norm.pair()),
            statistics: statistics.into_slice(),
            y: y.into_slice(),
        });
    });
}

/// The parts of all tokens.
pub(super) fn token_partition(block: &ReadInAttention) -> Partition {
    Partition::new(Items {
        batch: block.shape.batch,
        modules: block.shape.tokens,
    })
}

/// `(W_kᵀ q) ⊙ s` for each head.
fn fold(block: &mut ReadInAttention, compute: &Compute, operands: &ReadInOperands<'_>) {
    let (shape, heads) = (block.shape, block.shape.heads());
    let items = Items {
        batch: block.folded_batch(operands),
        ..shape.items()
    };
    let partition = Partition::new(items);
    let mut folded = std::mem::take(&mut block.folded);
    folded.resize(items.rows() * heads.wide(), 0.0);
    let parts = partition.rows(&mut folded, heads.wide());
    compute.each(partition.parts(), parts, |index, folded, scratch| {
        let (span, folded) = (partition.span(index), folded.into_slice());
        for part in span.blocks() {
            let folded = &mut folded[part.within(span.first, heads.wide())];
            let factor = operands.key.scale_rows(shape.token_dim);
            let [queries, unscaled] = scratch
                .rows
                .parts([part.rows * heads.inner(), folded.len()]);
            copy_rows(&block.queries, heads.inner(), part, queries);
            let result = if factor.is_some() {
                &mut *unscaled
            } else {
                &mut *folded
            };
            unscaled_rows(block, (compute, operands), queries, result);
            if let Some(factor) = factor {
                compute.arch().dispatch(Scale {
                    x: unscaled,
                    factor,
                    first: part.first,
                    repeat: shape.heads,
                    y: folded,
                });
            }
        }
    });
    block.folded = folded;
}

/// `W_kᵀ q` for each head, times what makes the scale of the scores that of a head.
pub(super) fn unscaled_rows(
    block: &ReadInAttention,
    (compute, operands): (&Compute, &ReadInOperands<'_>),
    queries: &[f32],
    result: &mut [f32],
) {
    let heads = block.shape.heads();
    heads.widen(compute, queries, operands.key.weight, result);
    compute.arch().dispatch(Combine {
        x: None,
        first: 0,
        factor: block.shape.score_factor(),
        width: heads.wide(),
        y: result,
    });
}

/// Copies the rows of `part`, which start again after the last of `all`.
pub(super) fn copy_rows(all: &[f32], width: usize, part: Span, to: &mut [f32]) {
    let all = Rows { data: all, width };
    for (at, rows) in all.stretches(part.first, part.rows) {
        to[at..at + rows.len()].copy_from_slice(rows);
    }
}

/// Messages and new states of some rows from what they read.
fn close(
    block: &ReadInAttention,
    (compute, operands, exit): (&Compute, &ReadInOperands<'_>, &PackedWeight<'_>),
    part: Span,
    (read, messages, y): (&[f32], &mut [f32], &mut [f32]),
    scratch: &mut Scratch,
) {
    let shape = block.shape;
    let read = match operands.value.scale_rows(shape.token_dim) {
        None => read,
        Some(factor) => {
            let scaled = scratch.rows.take(read.len());
            compute.arch().dispatch(Scale {
                x: read,
                factor,
                first: part.first,
                repeat: shape.heads,
                y: scaled,
            });
            scaled
        }
    };
    let weight = (&*block.transposed[1], operands.value.bias);
    shape.heads().narrow(compute, read, weight, messages);
    let finish = Finish {
        weight: exit,
        width: shape.state,
        bias: operands.exit.bias,
        states: shape.residual.then(|| operands.states.rows(shape.state)),
        keep: operands.keep,
        items: shape.items(),
    };
    exit_rows(
        compute,
        (&finish, &operands.exit),
        part,
        messages,
        y,
        scratch,
    );
}

/// The attention of some modules of an example: each head of a module is a receiver, tokens are keys and values.
pub(super) fn example<'a>(
    block: &'a ReadInAttention,
    operands: &ReadInOperands<'a>,
    (example, part): (usize, Span),
    tokens: &'a [f32],
) -> Example<'a> {
    let (shape, wide) = (block.shape, block.shape.heads().wide());
    let shared = block.folded.len() == shape.modules * wide;
    let first = if shared { example * shape.modules } else { 0 };
    let size = shape.tokens * shape.token_dim;
    let tokens = &tokens[example * size..(example + 1) * size];
    Example {
        shape: AttentionShape {
            receivers: part.rows * shape.heads,
            senders: shape.tokens,
            heads: 1,
            head_dim: shape.token_dim,
        },
        heads: 0..1,
        queries: &block.folded[part.within(first, wide)],
        keys: tokens,
        values: tokens,
        links: ExampleLinks::None,
        mask: operands
            .mask
            .map(|mask| &mask[example * shape.tokens..(example + 1) * shape.tokens]),
    }
}
