//! Attention of a block of receivers to all senders, a few blocks of senders at a time.
//!
//! `out = softmax_senders(q · k + bias) V`, with `q` and `bias` multiplied by `log₂ e` beforehand, in the way of
//! FlashAttention (arXiv 2205.14135): the scores of one chunk stay in the first-level cache, a running maximum
//! and sum correct earlier chunks, and the matrix of receivers × senders is never written.

use pulp::{Simd, WithSimd};

use super::math::exp2;
use super::norm::pair;
use super::row::{GROUP, PairRow, Row, WIDTH};
use super::{bf16, tile};

/// Blocks of senders whose scores are held at a time.
pub(crate) const CHUNK: usize = 4;

/// Below every score, but finite: a maximum over nothing that can be subtracted.
const LOWEST: f32 = -1e30;

/// Score of a masked sender, as in training: no weight, unless all senders are masked.
const MASKED_SCORE: f32 = -1e9;

/// Some senders as one head of a block of receivers attends to them, and how each receiver is linked to them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HeadSenders<'a> {
    pub(crate) operands: HeadOperands<'a>,
    /// Number of senders; the last block may be filled in part.
    pub(crate) items: usize,
    /// Added to the scores: a row for each sender.
    pub(crate) bias: Option<&'a [Row]>,
    /// Whether `bias` may be infinite, where there is no link.
    pub(crate) cut: bool,
    /// Factor on the weights after the softmax: a row for each sender.
    pub(crate) factor: Option<&'a [Row]>,
    /// False for senders to which no receiver attends.
    pub(crate) mask: Option<&'a [bool]>,
}

impl HeadSenders<'_> {
    /// No senders at all.
    pub(crate) const NONE: Self = Self {
        operands: HeadOperands::F32 {
            queries: &[],
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

/// Queries, keys and values of one head in one precision.
///
/// Queries are multiplied by `log₂ e` and divided by the root of the head's width. Keys and values lie in consecutive
/// blocks of `stride` rows, of which those of the head start at the rows `key` and `value`.
#[derive(Debug, Clone, Copy)]
pub(crate) enum HeadOperands<'a> {
    F32 {
        queries: &'a [Row],
        blocks: &'a [Row],
        stride: usize,
        key: usize,
        value: usize,
    },
    /// Pairs of features of queries and keys, and pairs of senders of values.
    Bf16 {
        queries: &'a [PairRow],
        keys: &'a [PairRow],
        key_stride: usize,
        key: usize,
        values: &'a [[u32; WIDTH / 2]],
        value_stride: usize,
        value: usize,
    },
}

/// One head of one block of receivers.
pub(crate) struct Attend<'a> {
    pub(crate) senders: &'a [HeadSenders<'a>],
    /// Scratch for [`CHUNK`] blocks of scores.
    pub(crate) scores: &'a mut [Row],
    /// Scratch for them in pairs; may be empty for single precision.
    pub(crate) pairs: &'a mut [PairRow],
    /// A row for each feature of the values, a multiple of 8.
    pub(crate) out: &'a mut [Row],
}

impl WithSimd for Attend<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match S::F32_LANES {
            16 => attend::<S, 2>(simd, self),
            8 => attend::<S, 4>(simd, self),
            4 => attend::<S, 8>(simd, self),
            _ => attend::<S, WIDTH>(simd, self),
        }
    }
}

#[inline(always)]
fn attend<S: Simd, const VECTORS: usize>(simd: S, op: Attend<'_>) {
    let mut highest = [simd.splat_f32s(LOWEST); VECTORS];
    let mut sum = [simd.splat_f32s(0.0); VECTORS];
    op.out.fill(Row::ZERO);
    for senders in op.senders {
        for first in (0..senders.items).step_by(CHUNK * WIDTH) {
            let count = (senders.items - first).min(CHUNK * WIDTH);
            let blocks = count.div_ceil(WIDTH);
            let scores = &mut op.scores[..blocks * WIDTH];
            score(simd, senders.operands, first / WIDTH, scores);
            let shrink = weigh::<S, VECTORS>(simd, senders, first, count, scores, &mut highest);
            let added = total::<S, VECTORS>(simd, senders, first, count, scores, &highest);
            for j in 0..VECTORS {
                sum[j] = simd.mul_add_f32s(sum[j], shrink[j], added[j]);
            }
            multiply::<S, VECTORS>(simd, op.out, &shrink);
            let pairs = &mut *op.pairs;
            gather(simd, senders, first / WIDTH, scores, pairs, op.out);
        }
    }
    let one = simd.splat_f32s(1.0);
    let tiny = simd.splat_f32s(f32::MIN_POSITIVE);
    // A receiver without any link has a sum of zero and an `out` of zero, and so it stays.
    let share = sum.map(|sum| simd.div_f32s(one, simd.max_f32s(sum, tiny)));
    multiply::<S, VECTORS>(simd, op.out, &share);
}

/// `scores[sender] = q · k` for whole blocks.
#[inline(always)]
fn score<S: Simd>(simd: S, operands: HeadOperands<'_>, first: usize, scores: &mut [Row]) {
    for (group, out) in scores.as_chunks_mut::<GROUP>().0.iter_mut().enumerate() {
        let block = first + group / (WIDTH / GROUP);
        let lane = group % (WIDTH / GROUP) * GROUP;
        match operands {
            HeadOperands::F32 {
                queries,
                blocks,
                stride,
                key,
                ..
            } => {
                let keys = &blocks[block * stride + key..][..queries.len()];
                tile::tile(simd, keys, lane, queries, out, false);
            }
            HeadOperands::Bf16 {
                queries,
                keys,
                key_stride,
                key,
                ..
            } => {
                let keys = &keys[block * key_stride + key..][..queries.len()];
                bf16::tile(simd, keys, lane, queries, out, false);
            }
        }
    }
}

/// Adds bias and mask, raises `highest`, and returns what sums so far shrink by.
#[inline(always)]
fn weigh<S: Simd, const VECTORS: usize>(
    simd: S,
    senders: &HeadSenders<'_>,
    first: usize,
    count: usize,
    scores: &mut [Row],
    highest: &mut [S::f32s; VECTORS],
) -> [S::f32s; VECTORS] {
    let before = *highest;
    let bias = senders.bias.map(|bias| &bias[first..first + count]);
    let mask = senders.mask.map(|mask| &mask[first..first + count]);
    let masked = simd.splat_f32s(MASKED_SCORE);
    for (i, row) in scores[..count].iter_mut().enumerate() {
        let row = S::as_mut_simd_f32s(&mut row.0).0;
        if let Some(bias) = bias {
            let bias = S::as_simd_f32s(&bias[i].0).0;
            for j in 0..VECTORS {
                row[j] = simd.add_f32s(row[j], bias[j]);
            }
        }
        if mask.is_some_and(|mask| !mask[i]) {
            row.fill(masked);
        }
        for j in 0..VECTORS {
            highest[j] = simd.max_f32s(highest[j], row[j]);
        }
    }
    let mut shrink = before;
    for j in 0..VECTORS {
        shrink[j] = exp2(simd, simd.sub_f32s(before[j], highest[j]));
    }
    shrink
}

/// Turns scores into weights (not yet divided by their sum), zero beyond `count`; returns their sum.
#[inline(always)]
fn total<S: Simd, const VECTORS: usize>(
    simd: S,
    senders: &HeadSenders<'_>,
    first: usize,
    count: usize,
    scores: &mut [Row],
    highest: &[S::f32s; VECTORS],
) -> [S::f32s; VECTORS] {
    let zero = simd.splat_f32s(0.0);
    let floor = simd.splat_f32s(LOWEST / 2.0);
    let mut sum = [zero; VECTORS];
    let factor = senders.factor.map(|factor| &factor[first..first + count]);
    for (i, row) in scores[..count].iter_mut().enumerate() {
        let row = S::as_mut_simd_f32s(&mut row.0).0;
        for j in 0..VECTORS {
            let weight = exp2(simd, simd.sub_f32s(row[j], highest[j]));
            row[j] = if senders.cut {
                simd.select_f32s(simd.less_than_f32s(floor, row[j]), weight, zero)
            } else {
                weight
            };
            sum[j] = simd.add_f32s(sum[j], row[j]);
        }
        if let Some(factor) = factor {
            let factor = S::as_simd_f32s(&factor[i].0).0;
            for j in 0..VECTORS {
                row[j] = simd.mul_f32s(row[j], factor[j]);
            }
        }
    }
    scores[count..].fill(Row::ZERO);
    sum
}

/// `out += V · weights`.
#[inline(always)]
fn gather<S: Simd>(
    simd: S,
    senders: &HeadSenders<'_>,
    first: usize,
    weights: &[Row],
    pairs: &mut [PairRow],
    out: &mut [Row],
) {
    match senders.operands {
        HeadOperands::F32 {
            blocks,
            stride,
            value,
            ..
        } => {
            for (group, out) in out.as_chunks_mut::<GROUP>().0.iter_mut().enumerate() {
                let values = blocks[first * stride..].chunks(stride);
                let values = values.zip(weights.chunks_exact(WIDTH));
                let row = value + group * GROUP;
                let values = values.filter_map(|(block, weights)| {
                    Some((block[row..].first_chunk::<GROUP>()?, weights))
                });
                tile::tile_across(simd, values, out);
            }
        }
        HeadOperands::Bf16 {
            values,
            value_stride,
            value,
            ..
        } => {
            for (two, pairs) in weights.chunks_exact(2).zip(&mut *pairs) {
                let (low, high) = (S::as_simd_f32s(&two[0].0).0, S::as_simd_f32s(&two[1].0).0);
                for (j, pairs) in S::as_mut_simd_u32s(&mut pairs.0).0.iter_mut().enumerate() {
                    *pairs = pair(simd, low[j], high[j]);
                }
            }
            let pairs = &pairs[..weights.len() / 2];
            for (group, out) in out.as_chunks_mut::<GROUP>().0.iter_mut().enumerate() {
                let blocks = values[first * value_stride..].chunks(value_stride);
                let blocks = blocks.zip(pairs.chunks_exact(WIDTH / 2));
                let row = value + group * GROUP;
                let blocks = blocks.filter_map(|(block, weights)| {
                    Some((block[row..].first_chunk::<GROUP>()?, weights))
                });
                bf16::tile_across(simd, blocks, out);
            }
        }
    }
}

/// `rows ⊙ factor` for a factor per item.
#[inline(always)]
fn multiply<S: Simd, const VECTORS: usize>(simd: S, rows: &mut [Row], factor: &[S::f32s; VECTORS]) {
    for row in rows {
        let row = S::as_mut_simd_f32s(&mut row.0).0;
        for j in 0..VECTORS {
            row[j] = simd.mul_f32s(row[j], factor[j]);
        }
    }
}
