//! Links, their gradients and keys, transposed for the backward pass.

use std::f32::consts::LOG2_E;

use super::pack::{self, Padded};
use crate::training::attention::operands::{AttentionShape, Example, ExampleLinks};
use crate::training::product::pairs::{BLOCK, SQUARE, transpose};

/// What is added to scores in units of `ln 2`: logarithms of links, and −∞ for padding.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bias<'a> {
    /// `[senders, receivers]`, or `[senders]`.
    data: &'a [f32],
    /// Padded number of receivers, or 0 if all of them have the same.
    stride: usize,
}

impl<'a> Bias<'a> {
    /// Numbers that it takes.
    pub(super) fn len(example: &Example<'_>, padded: Padded) -> usize {
        match example.links {
            ExampleLinks::Dense(_) => padded.senders * padded.receivers,
            ExampleLinks::None | ExampleLinks::Edges { .. } => padded.senders,
        }
    }

    pub(super) fn new(example: &Example<'_>, padded: Padded, to: &'a mut [f32]) -> Self {
        let senders = example.shape.senders;
        let stride = match example.links {
            ExampleLinks::Dense(log) => {
                for sender in (0..senders).step_by(SQUARE) {
                    for receiver in (0..example.shape.receivers).step_by(SQUARE) {
                        let square = square(example.shape, log, receiver, sender);
                        for (t, line) in square.iter().enumerate() {
                            let at = (sender + t) * padded.receivers + receiver;
                            let to = &mut to[at..at + SQUARE];
                            for (to, bits) in to.iter_mut().zip(line) {
                                *to = f32::from_bits(*bits) * LOG2_E;
                            }
                        }
                    }
                }
                padded.receivers
            }
            ExampleLinks::None | ExampleLinks::Edges { .. } => {
                to.fill(0.0);
                0
            }
        };
        let mask = example.padding();
        for (sender, to) in to.chunks_exact_mut(stride.max(1)).enumerate() {
            if sender >= senders || mask.is_some_and(|mask| !mask[sender]) {
                to.fill(f32::NEG_INFINITY);
            }
        }
        Self { data: to, stride }
    }

    /// Of all receivers of one sender, or the one number that all of them have.
    #[inline(always)]
    pub(super) fn row(self, sender: usize) -> (&'a [f32], Option<f32>) {
        if self.stride == 0 {
            (&[], Some(self.data[sender]))
        } else {
            (&self.data[sender * self.stride..][..self.stride], None)
        }
    }
}

/// The transpose of 16 × 16 of `log`, `[receivers, senders]`; zero beyond its ends.
fn square(
    shape: AttentionShape,
    log: &[f32],
    receiver: usize,
    sender: usize,
) -> [[u32; SQUARE]; SQUARE] {
    let mut square = [[0; SQUARE]; SQUARE];
    let columns = SQUARE.min(shape.senders - sender);
    let rows = log.chunks_exact(shape.senders).skip(receiver);
    for (line, row) in square.iter_mut().zip(rows) {
        let row = &row[sender..sender + columns];
        match row.first_chunk::<SQUARE>() {
            Some(row) => *line = row.map(f32::to_bits),
            None => line
                .iter_mut()
                .zip(row)
                .for_each(|(to, x)| *to = x.to_bits()),
        }
    }
    transpose(&mut square);
    square
}

/// Writes gradients of links, `[receivers, senders]`, from their padded transpose.
pub(super) fn links(shape: AttentionShape, padded: Padded, from: &[f32], to: &mut [f32]) {
    for receiver in (0..shape.receivers).step_by(SQUARE) {
        for sender in (0..shape.senders).step_by(SQUARE) {
            let mut square = [[0; SQUARE]; SQUARE];
            for (t, line) in square.iter_mut().enumerate() {
                let from = &from[(sender + t) * padded.receivers + receiver..][..SQUARE];
                line.iter_mut()
                    .zip(from)
                    .for_each(|(to, x)| *to = x.to_bits());
            }
            transpose(&mut square);
            let columns = SQUARE.min(shape.senders - sender);
            let rows = to.chunks_exact_mut(shape.senders).skip(receiver);
            for (line, row) in square.iter().zip(rows) {
                let row = &mut row[sender..sender + columns];
                row.iter_mut()
                    .zip(line)
                    .for_each(|(to, bits)| *to = f32::from_bits(*bits));
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
