//! Links, their gradients and keys, transposed for the backward pass.

use std::f32::consts::LOG2_E;
use std::ops::Range;

use super::pack::{self, Padded};
use crate::training::attention::operands::{AttentionShape, Example, ExampleLinks};
use crate::training::product::pairs::{BLOCK, SQUARE, transpose};

/// Most senders of a chunk.
pub(super) const SENDERS: usize = 128;

/// Most receivers of a chunk.
pub(super) const RECEIVERS: usize = 128;

/// Some senders and receivers. Links are held chunk by chunk, each `[senders, receivers]`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chunk {
    pub(super) sender: usize,
    pub(super) senders: usize,
    pub(super) receiver: usize,
    pub(super) receivers: usize,
}

impl Chunk {
    #[inline(always)]
    pub(super) fn new(padded: Padded, sender: usize, receiver: usize) -> Self {
        Self {
            sender,
            senders: SENDERS.min(padded.senders - sender),
            receiver,
            receivers: RECEIVERS.min(padded.receivers - receiver),
        }
    }

    /// All chunks.
    #[inline(always)]
    fn all(padded: Padded) -> impl Iterator<Item = Self> {
        let receivers = padded.receivers.div_ceil(RECEIVERS);
        let count = padded.senders.div_ceil(SENDERS) * receivers;
        (0..count).map(move |index| {
            let (sender, receiver) = (index / receivers, index % receivers);
            Self::new(padded, sender * SENDERS, receiver * RECEIVERS)
        })
    }

    /// Where the links of sender `i` of the chunk are held.
    #[inline(always)]
    pub(super) fn links(self, padded: Padded, i: usize) -> Range<usize> {
        let start = self.sender * padded.receivers + self.receiver * self.senders;
        start + i * self.receivers..start + (i + 1) * self.receivers
    }
}

/// What is added to scores in units of `ln 2`: logarithms of links, and −∞ for padding.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bias<'a> {
    /// Of all pairs, chunk by chunk, or one for each sender.
    data: &'a [f32],
    padded: Padded,
    /// Whether all receivers of a sender have the same.
    same: bool,
}

impl<'a> Bias<'a> {
    /// Numbers that it takes.
    pub(super) fn len(example: &Example<'_>, padded: Padded) -> usize {
        match example.links {
            ExampleLinks::Dense(_) => padded.senders * padded.receivers,
            ExampleLinks::None | ExampleLinks::Edges { .. } => padded.senders,
        }
    }

    #[inline(always)]
    pub(super) fn new(example: &Example<'_>, padded: Padded, to: &'a mut [f32]) -> Self {
        let (shape, mask) = (example.shape, example.padding());
        let mut same = false;
        if let ExampleLinks::Dense(log) = example.links {
            for chunk in Chunk::all(padded) {
                for sender in (0..chunk.senders).step_by(SQUARE) {
                    for receiver in (0..chunk.receivers).step_by(SQUARE) {
                        let place = (chunk.receiver + receiver, chunk.sender + sender);
                        for (t, line) in square(shape, log, place).iter().enumerate() {
                            let row = &mut to[chunk.links(padded, sender + t)];
                            let row = &mut row[receiver..receiver + SQUARE];
                            for (to, bits) in row.iter_mut().zip(line) {
                                *to = f32::from_bits(*bits) * LOG2_E;
                            }
                        }
                    }
                }
                for i in 0..chunk.senders {
                    if is_padding(shape, mask, chunk.sender + i) {
                        to[chunk.links(padded, i)].fill(f32::NEG_INFINITY);
                    }
                }
            }
        } else {
            same = true;
            for (sender, to) in to.iter_mut().enumerate() {
                let padding = is_padding(shape, mask, sender);
                *to = if padding { f32::NEG_INFINITY } else { 0.0 };
            }
        }
        Self {
            data: to,
            padded,
            same,
        }
    }

    /// Of the receivers of a chunk and its sender `i`, or the one number that all of them have.
    #[inline(always)]
    pub(super) fn row(self, chunk: Chunk, i: usize) -> (&'a [f32], Option<f32>) {
        if self.same {
            (&[], Some(self.data[chunk.sender + i]))
        } else {
            (&self.data[chunk.links(self.padded, i)], None)
        }
    }
}

/// Whether nobody attends to a sender.
#[inline(always)]
fn is_padding(shape: AttentionShape, mask: Option<&[bool]>, sender: usize) -> bool {
    sender >= shape.senders || mask.is_some_and(|mask| !mask[sender])
}

/// The transpose of 16 × 16 of `log`, `[receivers, senders]`; zero beyond its ends.
#[inline(always)]
fn square(
    shape: AttentionShape,
    log: &[f32],
    (receiver, sender): (usize, usize),
) -> [[u32; SQUARE]; SQUARE] {
    let mut square = [[0; SQUARE]; SQUARE];
    let first = sender.min(shape.senders);
    let end = shape.senders.min(sender + SQUARE);
    let rows = log.chunks_exact(shape.senders).skip(receiver);
    for (line, row) in square.iter_mut().zip(rows) {
        let row = &row[first..end];
        if let Some(row) = row.first_chunk::<SQUARE>() {
            *line = row.map(f32::to_bits);
            continue;
        }
        for (to, x) in line.iter_mut().zip(row) {
            *to = x.to_bits();
        }
    }
    transpose(&mut square);
    square
}

/// Writes gradients of links, `[receivers, senders]`, from those of chunks.
#[inline(always)]
pub(super) fn links(shape: AttentionShape, padded: Padded, from: &[f32], to: &mut [f32]) {
    for chunk in Chunk::all(padded) {
        for receiver in (0..chunk.receivers).step_by(SQUARE) {
            for sender in (0..chunk.senders).step_by(SQUARE) {
                let mut square = [[0; SQUARE]; SQUARE];
                for (t, line) in square.iter_mut().enumerate() {
                    let from = &from[chunk.links(padded, sender + t)];
                    let from = &from[receiver..receiver + SQUARE];
                    for t in 0..SQUARE {
                        line[t] = from[t].to_bits();
                    }
                }
                transpose(&mut square);
                let first = (chunk.sender + sender).min(shape.senders);
                let end = shape.senders.min(first + SQUARE);
                let rows = to.chunks_exact_mut(shape.senders);
                for (line, row) in square.iter().zip(rows.skip(chunk.receiver + receiver)) {
                    let row = &mut row[first..end];
                    if let Some(row) = row.first_chunk_mut::<SQUARE>() {
                        *row = line.map(f32::from_bits);
                        continue;
                    }
                    for (to, bits) in row.iter_mut().zip(line) {
                        *to = f32::from_bits(*bits);
                    }
                }
            }
        }
    }
}

/// Turns keys as a right operand, panels of `[senders / 2][32]`, into left operands of their transpose, `[dim][chunk / 2]`
/// for each chunk of senders.
#[inline(always)]
pub(super) fn keys(from: &[u32], padded: Padded, chunk: usize, to: &mut [u32]) {
    for sender in (0..padded.senders).step_by(chunk) {
        let half = chunk.min(padded.senders - sender) / 2;
        let to = &mut to[sender / 2 * padded.dim..][..half * padded.dim];
        let panels = from.chunks_exact(padded.senders / 2 * BLOCK);
        for (from, to) in panels.zip(to.chunks_exact_mut(BLOCK * half)) {
            let from = &from[sender / 2 * BLOCK..];
            pack::squares(from, BLOCK, to, half, (half, BLOCK));
        }
    }
}
