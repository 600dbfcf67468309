//! Attention of all receivers to all senders, with a link for each pair or none: the forward pass.
//!
//! Scores have senders along vectors, so that links are added and gradients of links are summed in the layout that they
//! have; only keys are transposed. A chunk of scores at a time stays in the first-level cache, and a running maximum and sum
//! correct earlier chunks.

use std::f32::consts::LOG2_E;

use pulp::{Simd, WithSimd};

use super::columns::Columns;
use super::operands::{Example, ExampleLinks};
use super::pack::{self, HeadRows, RECEIVERS, SENDERS, aligned};
use super::rows::{RunningSoftmax, Scoring, multiply, product};
use crate::training::compute::{Buffer, Compute};
use crate::training::product::{Left, Multiply, Right};

pub(super) fn forward(
    compute: &Compute,
    example: &Example<'_>,
    out: &mut Columns<'_>,
    log_sums: &mut [f32],
    scratch: &mut Buffer,
) {
    let shape = example.shape;
    let [keys, values, scores, sums, padding] = scratch.parts([
        pack::transposed_len(shape, shape.senders),
        HeadRows::copy_len(shape, shape.senders),
        pack::chunk_len(shape),
        RECEIVERS * shape.head_dim,
        pack::padding_len(example),
    ]);
    if shape.senders == 0 {
        out.fill(0.0);
        log_sums.fill(0.0);
        return;
    }
    let padding = pack::padding(example, padding);
    compute.arch().dispatch(Forward {
        example,
        keys,
        values,
        scores,
        sums,
        padding,
        out,
        log_sums,
    });
}

struct Forward<'a, 'o> {
    example: &'a Example<'a>,
    /// Scratch for the transposed keys of a head.
    keys: &'a mut [f32],
    /// Scratch for a copy of the values of a head.
    values: &'a mut [f32],
    /// Scratch for the scores of a chunk.
    scores: &'a mut [f32],
    /// Scratch for the results of a block.
    sums: &'a mut [f32],
    padding: Option<&'a [f32]>,
    out: &'a mut Columns<'o>,
    log_sums: &'a mut [f32],
}

impl WithSimd for Forward<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let (example, shape) = (self.example, self.example.shape);
        let copy = std::mem::take(&mut self.values);
        for head in example.heads.clone() {
            pack::transpose(shape, head, example.keys, self.keys);
            let values = HeadRows::new(shape, head, example.values, copy);
            for first in (0..shape.receivers).step_by(RECEIVERS) {
                self.block(simd, head, first, values);
            }
        }
    }
}

impl Forward<'_, '_> {
    /// One head of the receivers from `first`.
    #[inline(always)]
    fn block<S: Simd>(&mut self, simd: S, head: usize, first: usize, values: HeadRows<'_>) {
        let shape = self.example.shape;
        let (d, width) = (shape.head_dim, shape.width());
        let rows = RECEIVERS.min(shape.receivers - first);
        let (start, own) = (first * width + head * d, head - self.example.heads.start);
        let mut softmax = [RunningSoftmax::EMPTY; RECEIVERS];
        for sender in (0..shape.senders).step_by(SENDERS) {
            let count = SENDERS.min(shape.senders - sender);
            let stride = aligned(count);
            product(
                simd,
                Multiply {
                    a: Left::Rows {
                        data: &self.example.queries[start..],
                        stride: width,
                    },
                    b: Right::Rows {
                        data: &self.keys[sender * d..],
                        stride,
                    },
                    c: &mut *self.scores,
                    c_stride: stride,
                    rows,
                    columns: stride,
                    depth: d,
                    add: false,
                    bias: None,
                },
            );
            let scores = self.scores.chunks_exact_mut(stride);
            for (i, (row, softmax)) in scores.zip(&mut softmax).take(rows).enumerate() {
                let scoring = scoring(
                    self.example,
                    self.padding,
                    first + i,
                    sender..sender + count,
                );
                let shrink = softmax.add(simd, row, count, scoring);
                if sender > 0 {
                    multiply(simd, &mut self.sums[i * d..(i + 1) * d], shrink);
                }
            }
            product(
                simd,
                Multiply {
                    a: Left::Rows {
                        data: &*self.scores,
                        stride,
                    },
                    b: Right::Rows {
                        data: values.from(sender),
                        stride: values.stride,
                    },
                    c: &mut *self.sums,
                    c_stride: d,
                    rows,
                    columns: d,
                    depth: count,
                    add: sender > 0,
                    bias: None,
                },
            );
        }
        for (i, softmax) in softmax.iter().take(rows).enumerate() {
            let (share, log_sum) = softmax.finish();
            let out = &mut self.out.row(first + i)[own * d..(own + 1) * d];
            out.copy_from_slice(&self.sums[i * d..(i + 1) * d]);
            multiply(simd, out, simd.splat_f32s(share));
            self.log_sums[own * shape.receivers + first + i] = log_sum;
        }
    }
}

/// How the products of receiver `i` with a chunk of senders become scores.
#[inline(always)]
pub(super) fn scoring<'a>(
    example: &Example<'a>,
    padding: Option<&'a [f32]>,
    i: usize,
    chunk: std::ops::Range<usize>,
) -> Scoring<'a> {
    let links = match example.links {
        ExampleLinks::Dense(log) => Some(&log[i * example.shape.senders..][chunk.clone()]),
        ExampleLinks::None | ExampleLinks::Edges { .. } => None,
    };
    Scoring {
        scale: example.scale() * LOG2_E,
        links,
        padding: padding.map(|padding| &padding[chunk.start..]),
    }
}
