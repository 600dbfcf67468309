//! Operands of attention as bfloat16 pairs.
//!
//! Every sum of a product is padded to whole blocks of 32 terms; the terms `t` and `t + 16` of a block are a pair.

use pulp::Simd;

use crate::training::attention::operands::AttentionShape;
use crate::training::product::pairs::{BLOCK, SQUARE, transpose};

/// Sizes of one head, padded to whole blocks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Padded {
    pub(super) receivers: usize,
    pub(super) senders: usize,
    pub(super) dim: usize,
}

impl Padded {
    pub(super) fn new(shape: AttentionShape) -> Self {
        let [receivers, senders, dim] =
            [shape.receivers, shape.senders, shape.head_dim].map(|x| x.next_multiple_of(BLOCK));
        Self {
            receivers,
            senders,
            dim,
        }
    }

    /// Pairs of a query, key or value.
    pub(super) fn pairs(self) -> usize {
        self.dim / 2
    }
}

/// One head of some items, `[items, heads · head_dim]`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head<'a> {
    all: &'a [f32],
    width: usize,
    column: usize,
    dim: usize,
}

impl<'a> Head<'a> {
    pub(super) fn new(shape: AttentionShape, head: usize, all: &'a [f32]) -> Self {
        Self {
            all,
            width: shape.width(),
            column: head * shape.head_dim,
            dim: shape.head_dim,
        }
    }

    /// One item; empty beyond the last.
    #[inline(always)]
    pub(super) fn row(self, item: usize) -> &'a [f32] {
        let row = self.all.get(item * self.width..).unwrap_or_default();
        let row = row.get(self.column..).unwrap_or_default();
        &row[..self.dim.min(row.len())]
    }
}

/// Half a block: what is at one place of its pairs.
type Half = [f32; SQUARE];

/// Rounds two halves times `factor` to the nearest bfloat16, ties away from zero, which is faster than ties to even and
/// as exact; the first is in the low halves of pairs.
#[inline(always)]
fn join<S: Simd>(simd: S, [low, high]: [Half; 2], factor: f32, to: &mut [u32; SQUARE]) {
    let (half, upper) = (simd.splat_u32s(0x8000), simd.splat_u32s(0xffff_0000));
    let (shift, factor) = (simd.splat_u32s(16), simd.splat_f32s(factor));
    let [low, high] = [S::as_simd_f32s(&low).0, S::as_simd_f32s(&high).0];
    for ((to, low), high) in S::as_mut_simd_u32s(to).0.iter_mut().zip(low).zip(high) {
        let low = simd.transmute_u32s_f32s(simd.mul_f32s(*low, factor));
        let high = simd.transmute_u32s_f32s(simd.mul_f32s(*high, factor));
        let low = simd.wrapping_dyn_shr_u32s(simd.add_u32s(low, half), shift);
        let high = simd.and_u32s(simd.add_u32s(high, half), upper);
        *to = simd.or_u32s(low, high);
    }
}

/// Half a block of `row` from `start`; zeros beyond its end.
#[inline(always)]
fn half(row: &[f32], start: usize) -> Half {
    let row = row.get(start..).unwrap_or_default();
    if let Some(whole) = row.first_chunk() {
        return *whole;
    }
    let mut half = [0.0; SQUARE];
    if !row.is_empty() {
        half[..row.len()].copy_from_slice(row);
    }
    half
}

/// Packs a row times `factor` as a part of a left operand.
#[inline(always)]
pub(super) fn row<S: Simd>(simd: S, from: &[f32], factor: f32, to: &mut [u32]) {
    for (block, to) in to.as_chunks_mut::<SQUARE>().0.iter_mut().enumerate() {
        let start = block * BLOCK;
        let halves = [half(from, start), half(from, start + SQUARE)];
        join(simd, halves, factor, to);
    }
}

/// Packs 32 columns from `column` of two rows times `factor` as a part of a right operand.
#[inline(always)]
pub(super) fn two_rows<S: Simd>(
    simd: S,
    [low, high]: [&[f32]; 2],
    (column, factor): (usize, f32),
    to: &mut [u32],
) {
    for (part, to) in to.as_chunks_mut::<SQUARE>().0.iter_mut().enumerate() {
        let start = column + part * SQUARE;
        join(simd, [half(low, start), half(high, start)], factor, to);
    }
}

/// Items times `factor` as a left operand, summed over the head's width: `[items][pairs]`. Rows beyond the last item are
/// zero.
#[inline(always)]
pub(super) fn left<S: Simd>(simd: S, head: Head<'_>, first: usize, factor: f32, to: &mut [u32]) {
    let pairs = head.dim.next_multiple_of(BLOCK) / 2;
    for (item, to) in to.chunks_exact_mut(pairs).enumerate() {
        row(simd, head.row(first + item), factor, to);
    }
}

/// Turns a left operand, `[items][pairs]`, into a right operand of the items' transpose: panels of 32 items,
/// `[pairs][32]`.
#[inline(always)]
pub(super) fn turn(left: &[u32], pairs: usize, to: &mut [u32]) {
    let panels = left.chunks_exact(BLOCK * pairs);
    for (left, to) in panels.zip(to.chunks_exact_mut(BLOCK * pairs)) {
        squares(left, pairs, to, BLOCK, (BLOCK, pairs));
    }
}

/// Items times `factor` as a right operand, summed over items: panels of 32 columns, `[items / 2][32]`. Items and columns
/// beyond the last are zero.
#[inline(always)]
pub(super) fn right<S: Simd>(simd: S, head: Head<'_>, items: usize, factor: f32, to: &mut [u32]) {
    let panel = items / 2 * BLOCK;
    for (index, to) in to.chunks_exact_mut(panel).enumerate() {
        for (k, to) in to.chunks_exact_mut(BLOCK).enumerate() {
            let item = k / SQUARE * BLOCK + k % SQUARE;
            let rows = [head.row(item), head.row(item + SQUARE)];
            two_rows(simd, rows, (index * BLOCK, factor), to);
        }
    }
}

/// Transposes `[rows][columns]` numbers, both multiples of 16.
#[inline(always)]
pub(super) fn squares(
    from: &[u32],
    from_stride: usize,
    to: &mut [u32],
    to_stride: usize,
    (rows, columns): (usize, usize),
) {
    for i in (0..rows).step_by(SQUARE) {
        for j in (0..columns).step_by(SQUARE) {
            let mut square = [[0; SQUARE]; SQUARE];
            for (t, line) in square.iter_mut().enumerate() {
                line.copy_from_slice(&from[(i + t) * from_stride + j..][..SQUARE]);
            }
            transpose(&mut square);
            for (t, line) in square.iter().enumerate() {
                to[(j + t) * to_stride + i..][..SQUARE].copy_from_slice(line);
            }
        }
    }
}
