//! The forward pass: a block of 32 receivers at a time, with a running maximum and sum over chunks of senders.

use std::f32::consts::LOG2_E;

use pulp::{Simd, WithSimd};

use super::pack::{self, Head, Padded};
use crate::simd::math::exp2_or_zero;
use crate::training::attention::columns::Columns;
use crate::training::attention::operands::{Example, ExampleLinks};
use crate::training::attention::rows::{LOWEST, first, multiply};
use crate::training::compute::{Buffer, Compute};
use crate::training::product::pairs::{BLOCK, Entered, Unit};

/// Most senders whose scores are held at a time.
const SENDERS: usize = 320;

pub(in super::super) fn forward(
    (compute, unit): (&Compute, Unit),
    example: &Example<'_>,
    out: &mut Columns<'_>,
    log_sums: &mut [f32],
    scratch: &mut Buffer,
) {
    let (shape, padded) = (example.shape, Padded::new(example.shape));
    let bias_rows = match example.links {
        ExampleLinks::Dense(_) => shape.receivers,
        ExampleLinks::None | ExampleLinks::Edges { .. } => 1,
    };
    let chunk = padded
        .senders
        .div_ceil(padded.senders.div_ceil(SENDERS).max(1))
        .next_multiple_of(BLOCK);
    let all = padded.senders * padded.pairs();
    let [bias, rows, keys, values, queries, scores, weights, sums] = scratch.parts([
        bias_rows * padded.senders,
        all,
        all,
        all,
        BLOCK * padded.pairs(),
        BLOCK * chunk,
        BLOCK * chunk / 2,
        BLOCK * padded.dim,
    ]);
    let stride = if bias_rows == 1 && shape.receivers > 1 {
        0
    } else {
        padded.senders
    };
    compute.arch().dispatch(Forward {
        example,
        padded,
        chunk,
        unit,
        bias,
        bias_stride: stride,
        rows: bytemuck::cast_slice_mut(rows),
        keys: bytemuck::cast_slice_mut(keys),
        values: bytemuck::cast_slice_mut(values),
        queries: bytemuck::cast_slice_mut(queries),
        scores,
        weights: bytemuck::cast_slice_mut(weights),
        sums,
        out,
        log_sums,
    });
}

/// What is added to scores in units of `ln 2`: logarithms of links, and −∞ for padding.
#[inline(always)]
fn fill_bias(example: &Example<'_>, padded: Padded, to: &mut [f32]) {
    let senders = example.shape.senders;
    for (i, to) in to.chunks_exact_mut(padded.senders).enumerate() {
        let (own, rest) = to.split_at_mut(senders);
        match example.links {
            ExampleLinks::Dense(log) => {
                for (to, log) in own.iter_mut().zip(&log[i * senders..]) {
                    *to = log * LOG2_E;
                }
            }
            ExampleLinks::None | ExampleLinks::Edges { .. } => own.fill(0.0),
        }
        if let Some(mask) = example.padding() {
            for (to, real) in own.iter_mut().zip(mask) {
                if !real {
                    *to = f32::NEG_INFINITY;
                }
            }
        }
        rest.fill(f32::NEG_INFINITY);
    }
}

struct Forward<'a, 'o> {
    example: &'a Example<'a>,
    padded: Padded,
    /// Senders of a chunk.
    chunk: usize,
    unit: Unit,
    /// Scratch for what is added to scores, `[receivers, senders]`.
    bias: &'a mut [f32],
    /// Distance of its rows: 0 if all receivers have the same.
    bias_stride: usize,
    /// Scratch for the keys as a left operand.
    rows: &'a mut [u32],
    /// Scratch for the keys of a head, as a right operand.
    keys: &'a mut [u32],
    /// The same of values.
    values: &'a mut [u32],
    /// Scratch for a block of queries, as a left operand.
    queries: &'a mut [u32],
    /// Scratch for the scores of a block, `[32, chunk]`.
    scores: &'a mut [f32],
    /// Scratch for the weights of a block, as a left operand.
    weights: &'a mut [u32],
    /// Scratch for the results of a block, `[32, dim]`.
    sums: &'a mut [f32],
    out: &'a mut Columns<'o>,
    log_sums: &'a mut [f32],
}

impl WithSimd for Forward<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let (example, shape, padded) = (self.example, self.example.shape, self.padded);
        let unit = self.unit.enter();
        fill_bias(example, padded, self.bias);
        for head in example.heads.clone() {
            pack::left(
                simd,
                Head::new(shape, head, example.keys),
                0,
                1.0,
                self.rows,
            );
            pack::turn(self.rows, padded.pairs(), self.keys);
            let values = Head::new(shape, head, example.values);
            pack::right(simd, values, padded.senders, 1.0, self.values);
            for first in (0..shape.receivers).step_by(BLOCK) {
                let queries = Head::new(shape, head, example.queries);
                pack::left(simd, queries, first, example.scale() * LOG2_E, self.queries);
                self.block(simd, &unit, head, first);
            }
        }
    }
}

impl Forward<'_, '_> {
    /// One head of the receivers from `first`.
    #[inline(always)]
    fn block<S: Simd>(&mut self, simd: S, unit: &Entered, head: usize, first: usize) {
        let (shape, padded) = (self.example.shape, self.padded);
        let rows = BLOCK.min(shape.receivers - first);
        let mut softmax = [(LOWEST, 0.0); BLOCK];
        for sender in (0..padded.senders).step_by(self.chunk) {
            let count = self.chunk.min(padded.senders - sender);
            self.products(unit, sender, count);
            for (i, softmax) in softmax.iter_mut().enumerate().take(rows) {
                let scores = &mut self.scores[i * count..(i + 1) * count];
                let bias = &self.bias[(first + i) * self.bias_stride + sender..][..count];
                let shrink = weigh(simd, scores, bias, softmax);
                if sender > 0 {
                    let sums = &mut self.sums[i * padded.dim..(i + 1) * padded.dim];
                    multiply(simd, sums, simd.splat_f32s(shrink));
                }
                let weights = &mut self.weights[i * count / 2..(i + 1) * count / 2];
                pack::row(simd, scores, 1.0, weights);
            }
            self.add(unit, sender, count);
        }
        for (i, (highest, sum)) in softmax.iter().take(rows).enumerate() {
            // A receiver without any link has a sum of zero and an `out` of zero, and so it stays.
            let sum = sum.max(f32::MIN_POSITIVE);
            let own = head - self.example.heads.start;
            let out = &mut self.out.row(first + i)[own * shape.head_dim..][..shape.head_dim];
            out.copy_from_slice(&self.sums[i * padded.dim..][..shape.head_dim]);
            multiply(simd, out, simd.splat_f32s(1.0 / sum));
            self.log_sums[own * shape.receivers + first + i] = highest + sum.log2();
        }
    }

    /// Products of a block of queries and a chunk of keys.
    #[inline(always)]
    fn products(&mut self, unit: &Entered, sender: usize, count: usize) {
        let pairs = self.padded.pairs();
        for column in (0..count).step_by(BLOCK) {
            let keys = &self.keys[(sender + column) * pairs..];
            unit.block(
                (self.queries, keys, pairs),
                Some(&[0.0; BLOCK]),
                (&mut self.scores[column..], count),
            );
        }
    }

    /// Adds the values of a chunk times their weights.
    #[inline(always)]
    fn add(&mut self, unit: &Entered, sender: usize, count: usize) {
        let (dim, panel) = (self.padded.dim, self.padded.senders / 2 * BLOCK);
        for (index, values) in self.values.chunks_exact(panel).enumerate() {
            let values = &values[sender / 2 * BLOCK..];
            let start = (sender == 0).then_some(&[0.0; BLOCK]);
            let sums = (&mut self.sums[index * BLOCK..], dim);
            unit.block((self.weights, values, count / 2), start, sums);
        }
    }
}

/// Turns products into weights, to be divided by the sum in the end, and returns what earlier weights shrink by.
#[inline(always)]
fn weigh<S: Simd>(simd: S, row: &mut [f32], bias: &[f32], (highest, sum): &mut (f32, f32)) -> f32 {
    let (row, _) = S::as_mut_simd_f32s(row);
    let (bias, _) = S::as_simd_f32s(bias);
    let mut most = simd.splat_f32s(LOWEST);
    for (x, bias) in row.iter_mut().zip(bias) {
        *x = simd.add_f32s(*x, *bias);
        most = simd.max_f32s(most, *x);
    }
    let before = *highest;
    *highest = before.max(simd.reduce_max_f32s(most));
    let high = simd.splat_f32s(*highest);
    let mut total = simd.splat_f32s(0.0);
    for x in row {
        *x = exp2_or_zero(simd, simd.sub_f32s(*x, high));
        total = simd.add_f32s(total, *x);
    }
    // Nothing has been weighed yet where there was no maximum.
    let shrink = if before == LOWEST {
        0.0
    } else {
        first(exp2_or_zero(
            simd,
            simd.sub_f32s(simd.splat_f32s(before), high),
        ))
    };
    *sum = *sum * shrink + simd.reduce_sum_f32s(total);
    shrink
}
