//! The rows of one head, close together and transposed.

use super::operands::{AttentionShape, Example};
use crate::training::product::pairs::{SQUARE, transpose as turn};

/// Scores and columns of transposed keys come in multiples of this, the length of the longest vector.
const ALIGN: usize = SQUARE;

/// Rows further apart than this many numbers are copied, as a few of them fill the sets of the cache that they fall into.
const FAR: usize = 128;

/// Senders whose scores are held at a time; a multiple of [`ALIGN`].
pub(super) const SENDERS: usize = 64;

/// Senders that the backward pass takes through all heads at a time, so that their links and the gradients of these stay
/// in the second-level cache; a multiple of [`SENDERS`].
pub(super) const GROUP: usize = 192;

/// Receivers whose scores are held at a time.
pub(super) const RECEIVERS: usize = 48;

/// The next multiple of [`ALIGN`].
pub(super) fn aligned(count: usize) -> usize {
    count.next_multiple_of(ALIGN)
}

/// Numbers that hold the scores of a chunk.
pub(super) fn chunk_len(shape: AttentionShape) -> usize {
    RECEIVERS.min(shape.receivers) * aligned(SENDERS.min(shape.senders))
}

/// Rows of one head, of which row `i` starts at `i · stride`.
#[derive(Debug, Clone, Copy)]
pub(super) struct HeadRows<'a> {
    pub(super) data: &'a [f32],
    pub(super) stride: usize,
}

impl<'a> HeadRows<'a> {
    /// Numbers that copies of `items` rows need.
    pub(super) fn copy_len(shape: AttentionShape, items: usize) -> usize {
        if shape.width() < FAR {
            0
        } else {
            items * shape.head_dim
        }
    }

    /// The rows of one head among `all`, `[items, heads · head_dim]`.
    #[inline(always)]
    pub(super) fn new(
        shape: AttentionShape,
        head: usize,
        all: &'a [f32],
        copy: &'a mut [f32],
    ) -> Self {
        let (d, width) = (shape.head_dim, shape.width());
        if width < FAR {
            return Self {
                data: &all[head * d..],
                stride: width,
            };
        }
        for (copy, row) in copy.chunks_exact_mut(d).zip(all.chunks_exact(width)) {
            copy.copy_from_slice(&row[head * d..][..d]);
        }
        Self {
            data: copy,
            stride: d,
        }
    }

    /// From the row `first`.
    #[inline(always)]
    pub(super) fn from(self, first: usize) -> &'a [f32] {
        &self.data[first * self.stride..]
    }
}

/// Numbers that [`transpose`] writes for `senders` senders.
pub(super) fn transposed_len(shape: AttentionShape, senders: usize) -> usize {
    shape.head_dim * aligned(senders)
}

/// The transpose of one head of `all`, `[senders, heads · head_dim]`, in chunks of [`SENDERS`] columns, one after the other;
/// chunks start at multiples of `SENDERS · head_dim`. Columns beyond the last sender are zero.
#[inline(always)]
pub(super) fn transpose(shape: AttentionShape, head: usize, all: &[f32], to: &mut [f32]) {
    let (d, width) = (shape.head_dim, shape.width());
    let chunks = all.chunks(SENDERS * width).zip(to.chunks_mut(SENDERS * d));
    for (rows, to) in chunks {
        let count = rows.len() / width;
        let stride = aligned(count);
        for (block, rows) in rows.chunks(ALIGN * width).enumerate() {
            let full = rows.len() == ALIGN * width;
            for from in (0..d).step_by(ALIGN) {
                let columns = ALIGN.min(d - from);
                let mut square = [[0; ALIGN]; ALIGN];
                if full && columns == ALIGN {
                    for j in 0..ALIGN {
                        let row = &rows[j * width + head * d + from..][..ALIGN];
                        for t in 0..ALIGN {
                            square[j][t] = row[t].to_bits();
                        }
                    }
                } else {
                    for (square, row) in square.iter_mut().zip(rows.chunks_exact(width)) {
                        let row = &row[head * d + from..][..columns];
                        for (square, x) in square.iter_mut().zip(row) {
                            *square = x.to_bits();
                        }
                    }
                }
                turn(&mut square);
                for (t, row) in square.iter().enumerate().take(columns) {
                    let to = &mut to[(from + t) * stride + block * ALIGN..][..ALIGN];
                    to.copy_from_slice(bytemuck::cast_slice(row));
                }
            }
        }
    }
}

/// Zero, or −∞ for padding.
pub(super) fn padding<'a>(example: &Example<'_>, to: &'a mut [f32]) -> Option<&'a [f32]> {
    let mask = example.padding()?;
    to.fill(0.0);
    for (to, real) in to.iter_mut().zip(mask) {
        *to = if *real { 0.0 } else { f32::NEG_INFINITY };
    }
    Some(to)
}

/// Numbers that [`padding`] writes.
pub(super) fn padding_len(example: &Example<'_>) -> usize {
    if example.mask.is_some() {
        aligned(example.shape.senders)
    } else {
        0
    }
}
