//! Attention of a block of receivers to all senders, a few blocks of senders at a time.
//!
//! `out = softmax_senders(q · k + bias) V`, with `q` and `bias` multiplied by `log₂ e` beforehand, in the way of FlashAttention (arXiv 2205.14135): the scores of one chunk
//! live in the first cache, a running maximum and sum make up for what is not known yet, and no matrix of
//! receivers × senders is ever written.

use pulp::{Simd, WithSimd};

use super::math::exp2;
use super::norm::pair;
use super::rows::{GROUP, PairRow, Row, WIDTH};
use super::{bf16, tile};

/// Blocks of senders whose scores are held at a time.
pub(crate) const CHUNK: usize = 4;

/// Below every score, but finite: a maximum over nothing that can be subtracted.
const LOWEST: f32 = -1e30;

/// Score of a sender that nobody hears, as in training: nothing, unless there is nobody else.
const UNHEARD: f32 = -1e9;

/// Keys and values of one head for some senders, and how each receiver of the block is linked to them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Senders<'a> {
    pub(crate) source: Source<'a>,
    /// Number of senders; the last block may be filled in part.
    pub(crate) items: usize,
    /// Added to the scores: a row for each sender.
    pub(crate) bias: Option<&'a [Row]>,
    /// Whether `bias` may be infinite, where there is no link.
    pub(crate) cut: bool,
    /// Factor on the weights after the softmax: a row for each sender.
    pub(crate) factor: Option<&'a [Row]>,
    /// Senders that nobody hears are false.
    pub(crate) mask: Option<&'a [bool]>,
}

/// Where keys and values lie: blocks one after the other, each of `stride` rows, keys from row `key` on.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Source<'a> {
    F32 {
        blocks: &'a [Row],
        stride: usize,
        key: usize,
        value: usize,
    },
    /// Pairs of features of keys, and pairs of senders of values.
    Bf16 {
        keys: &'a [PairRow],
        key_stride: usize,
        key: usize,
        values: &'a [[u32; WIDTH / 2]],
        value_stride: usize,
        value: usize,
    },
}

/// Queries of the receivers, already times `log₂ e` and divided by the root of the head's width.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Queries<'a> {
    F32(&'a [Row]),
    Bf16(&'a [PairRow]),
}

/// One head of one block of receivers.
pub(crate) struct Attend<'a> {
    pub(crate) queries: Queries<'a>,
    pub(crate) senders: &'a [Senders<'a>],
    /// Room for [`CHUNK`] blocks of scores.
    pub(crate) scores: &'a mut [Row],
    /// Room for them in pairs; may be empty for single precision.
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
            score(simd, op.queries, senders, first / WIDTH, scores);
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
fn score<S: Simd>(
    simd: S,
    queries: Queries<'_>,
    senders: &Senders<'_>,
    first: usize,
    scores: &mut [Row],
) {
    for (group, out) in scores.as_chunks_mut::<GROUP>().0.iter_mut().enumerate() {
        let block = first + group / (WIDTH / GROUP);
        let lane = group % (WIDTH / GROUP) * GROUP;
        match (queries, senders.source) {
            (
                Queries::F32(q),
                Source::F32 {
                    blocks,
                    stride,
                    key,
                    ..
                },
            ) => {
                let keys = &blocks[block * stride + key..][..q.len()];
                tile::tile(simd, keys, lane, q, out, false);
            }
            (
                Queries::Bf16(q),
                Source::Bf16 {
                    keys,
                    key_stride,
                    key,
                    ..
                },
            ) => {
                let keys = &keys[block * key_stride + key..][..q.len()];
                bf16::tile(simd, keys, lane, q, out, false);
            }
            // Whoever builds the operation takes both in one kind of numbers.
            _ => out.fill(Row::ZERO),
        }
    }
}

/// Adds bias and mask, raises `highest`, and returns what sums so far shrink by.
#[inline(always)]
fn weigh<S: Simd, const VECTORS: usize>(
    simd: S,
    senders: &Senders<'_>,
    first: usize,
    count: usize,
    scores: &mut [Row],
    highest: &mut [S::f32s; VECTORS],
) -> [S::f32s; VECTORS] {
    let before = *highest;
    let bias = senders.bias.map(|bias| &bias[first..first + count]);
    let mask = senders.mask.map(|mask| &mask[first..first + count]);
    let unheard = simd.splat_f32s(UNHEARD);
    for (i, row) in scores[..count].iter_mut().enumerate() {
        let row = S::as_mut_simd_f32s(&mut row.0).0;
        if let Some(bias) = bias {
            let bias = S::as_simd_f32s(&bias[i].0).0;
            for j in 0..VECTORS {
                row[j] = simd.add_f32s(row[j], bias[j]);
            }
        }
        if mask.is_some_and(|mask| !mask[i]) {
            row.fill(unheard);
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
    senders: &Senders<'_>,
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
    senders: &Senders<'_>,
    first: usize,
    weights: &[Row],
    pairs: &mut [PairRow],
    out: &mut [Row],
) {
    match senders.source {
        Source::F32 {
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
        Source::Bf16 {
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
