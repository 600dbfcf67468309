//! The backward pass of [`dense`](super::dense) attention: weights are computed again, a chunk at a time.

use pulp::{Simd, WithSimd};

use super::columns::Columns;
use super::dense::scoring;
use super::operands::{AttentionShape, Example, ExampleGradients, ExampleLinks, ExampleOutput};
use super::pack::{self, GROUP, HeadRows, RECEIVERS, SENDERS, aligned};
use super::rows::{RowGradient, dot, product};
use crate::training::compute::{Buffer, Compute};
use crate::training::product::{Left, Multiply, Right};

pub(super) fn backward(
    compute: &Compute,
    example: &Example<'_>,
    output: &ExampleOutput<'_>,
    gradients: &mut ExampleGradients<'_>,
    scratch: &mut Buffer,
) {
    let shape = example.shape;
    if shape.senders == 0 || shape.receivers == 0 {
        gradients.queries.fill(0.0);
        gradients.keys.fill(0.0);
        gradients.values.fill(0.0);
        return;
    }
    let block = HeadRows::copy_len(shape, RECEIVERS);
    let (group, d) = (GROUP.min(shape.senders), shape.head_dim);
    let parts = scratch.parts([
        pack::transposed_len(shape, group),
        pack::transposed_len(shape, group),
        HeadRows::copy_len(shape, group),
        pack::padding_len(example),
        pack::chunk_len(shape),
        pack::chunk_len(shape),
        block,
        block,
        example.heads.len() * shape.receivers * d,
        group * d,
        group * d,
    ]);
    let [
        keys_t,
        values_t,
        keys,
        padding,
        weights,
        d_weights,
        queries,
        d_out,
        query_sums,
        key_sums,
        value_sums,
    ] = parts;
    let d_links = match example.links {
        ExampleLinks::Dense(_) => gradients.links.as_deref_mut(),
        ExampleLinks::None | ExampleLinks::Edges { .. } => None,
    };
    compute.arch().dispatch(Backward {
        example,
        output,
        padding: pack::padding(example, padding),
        transposed: [keys_t, values_t],
        keys,
        weights,
        d_weights,
        blocks: [queries, d_out],
        query_sums,
        sums: [key_sums, value_sums],
        d_queries: &mut gradients.queries,
        d_keys: &mut gradients.keys,
        d_values: &mut gradients.values,
        d_links,
    });
}

struct Backward<'a, 'g> {
    example: &'a Example<'a>,
    output: &'a ExampleOutput<'a>,
    padding: Option<&'a [f32]>,
    /// Scratch for the transposed keys and values of one head of a group of senders.
    transposed: [&'a mut [f32]; 2],
    /// Scratch for a copy of the keys.
    keys: &'a mut [f32],
    /// Scratch for the weights of a chunk, and for their gradients.
    weights: &'a mut [f32],
    d_weights: &'a mut [f32],
    /// Scratch for copies of queries and of the gradients of `out` of a block of receivers.
    blocks: [&'a mut [f32]; 2],
    /// Gradients of queries, `[heads, receivers, head_dim]`.
    query_sums: &'a mut [f32],
    /// Gradients of the keys and values of one head of a group.
    sums: [&'a mut [f32]; 2],
    d_queries: &'a mut Columns<'g>,
    d_keys: &'a mut Columns<'g>,
    d_values: &'a mut Columns<'g>,
    d_links: Option<&'a mut [f32]>,
}

/// One head of a block of receivers, and of a group of senders.
#[derive(Clone, Copy)]
struct Block<'a> {
    head: usize,
    first: usize,
    rows: usize,
    queries: HeadRows<'a>,
    d_out: HeadRows<'a>,
    keys: HeadRows<'a>,
    /// Where the group starts.
    group: usize,
    /// `Σ_d ∇o ⊙ o`.
    along: [f32; RECEIVERS],
}

impl WithSimd for Backward<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let (example, shape) = (self.example, self.example.shape);
        let width = shape.width();
        let keys_copy = std::mem::take(&mut self.keys);
        let [queries_copy, d_out_copy] = std::mem::take(&mut self.blocks);
        for group in (0..shape.senders).step_by(GROUP) {
            let end = shape.senders.min(group + GROUP);
            let own = group * width..end * width;
            let (keys, values) = (&example.keys[own.clone()], &example.values[own]);
            for head in example.heads.clone() {
                pack::transpose(shape, head, keys, self.transposed[0]);
                pack::transpose(shape, head, values, self.transposed[1]);
                let keys = HeadRows::new(shape, head, keys, keys_copy);
                for first in (0..shape.receivers).step_by(RECEIVERS) {
                    let rows = RECEIVERS.min(shape.receivers - first);
                    let own = first * width..(first + rows) * width;
                    let (queries, d_out) = (&example.queries[own.clone()], &self.output.d_out[own]);
                    let block = Block {
                        head,
                        first,
                        rows,
                        queries: HeadRows::new(shape, head, queries, queries_copy),
                        d_out: HeadRows::new(shape, head, d_out, d_out_copy),
                        keys,
                        group,
                        along: self.along(simd, head, first),
                    };
                    for sender in (group..end).step_by(SENDERS) {
                        self.weigh(simd, &block, sender);
                        self.add(simd, &block, sender);
                    }
                }
                self.finish_senders(head, group..end);
            }
        }
        self.finish_receivers();
    }
}

impl Backward<'_, '_> {
    /// `Σ_d ∇o ⊙ o` of one head of a block of receivers.
    #[inline(always)]
    fn along<S: Simd>(&self, simd: S, head: usize, first: usize) -> [f32; RECEIVERS] {
        let (d, width) = (self.example.shape.head_dim, self.example.shape.width());
        let mut along = [0.0; RECEIVERS];
        let both = self
            .output
            .out
            .chunks_exact(width)
            .zip(self.output.d_out.chunks_exact(width));
        for (along, (out, d_out)) in along.iter_mut().zip(both.skip(first)) {
            *along = dot(simd, &out[head * d..][..d], &d_out[head * d..][..d]);
        }
        along
    }

    /// Weights of a chunk, and the gradients of products of queries and keys.
    #[inline(always)]
    fn weigh<S: Simd>(&mut self, simd: S, block: &Block<'_>, sender: usize) {
        let shape = self.example.shape;
        let count = SENDERS.min(shape.senders - sender);
        let stride = aligned(count);
        let multiply = |a: HeadRows<'_>, b: &[f32], c: &mut [f32]| {
            product(
                simd,
                Multiply {
                    a: Left::Rows {
                        data: a.data,
                        stride: a.stride,
                    },
                    b: Right::Rows {
                        data: &b[(sender - block.group) * shape.head_dim..],
                        stride,
                    },
                    c,
                    c_stride: stride,
                    rows: block.rows,
                    columns: stride,
                    depth: shape.head_dim,
                    add: false,
                    bias: None,
                },
            );
        };
        multiply(block.queries, self.transposed[0], self.weights);
        multiply(block.d_out, self.transposed[1], self.d_weights);
        let weights = self.weights.chunks_exact_mut(stride);
        let rows = weights.zip(self.d_weights.chunks_exact_mut(stride));
        for (offset, (weights, gradients)) in rows.take(block.rows).enumerate() {
            let i = block.first + offset;
            let scoring = scoring(self.example, self.padding, i, sender..sender + count);
            let links = self.d_links.as_deref_mut();
            let links = links.map(|links| &mut links[i * shape.senders + sender..][..count]);
            let gradient = RowGradient {
                weights,
                gradients,
                count,
                log_sum: self.output.log_sums[block.head * shape.receivers + i],
                along: block.along[offset],
                links: links.map(|links| (links, block.head > self.example.heads.start)),
            };
            gradient.run(simd, scoring);
        }
    }

    /// Adds the share of a chunk to the gradients of queries, keys and values.
    #[inline(always)]
    fn add<S: Simd>(&mut self, simd: S, block: &Block<'_>, sender: usize) {
        let shape = self.example.shape;
        let d = shape.head_dim;
        let count = SENDERS.min(shape.senders - sender);
        let stride = aligned(count);
        let own = block.head - self.example.heads.start;
        product(
            simd,
            Multiply {
                a: Left::Rows {
                    data: &*self.d_weights,
                    stride,
                },
                b: Right::Rows {
                    data: block.keys.from(sender - block.group),
                    stride: block.keys.stride,
                },
                c: &mut self.query_sums[(own * shape.receivers + block.first) * d..],
                c_stride: d,
                rows: block.rows,
                columns: d,
                depth: count,
                add: sender > 0,
                bias: None,
            },
        );
        let transposed = |a: &[f32], b: HeadRows<'_>, c: &mut [f32]| {
            product(
                simd,
                Multiply {
                    a: Left::Columns { data: a, stride },
                    b: Right::Rows {
                        data: b.data,
                        stride: b.stride,
                    },
                    c: &mut c[(sender - block.group) * d..],
                    c_stride: d,
                    rows: count,
                    columns: d,
                    depth: block.rows,
                    add: block.first > 0,
                    bias: None,
                },
            );
        };
        let [keys, values] = &mut self.sums;
        transposed(self.weights, block.d_out, values);
        transposed(self.d_weights, block.queries, keys);
    }

    /// Writes the gradients of the keys and values of a group.
    #[inline(always)]
    fn finish_senders(&mut self, head: usize, group: std::ops::Range<usize>) {
        let d = self.example.shape.head_dim;
        let own = (head - self.example.heads.start) * d;
        let results = [&mut *self.d_keys, &mut *self.d_values];
        for (sums, to) in self.sums.iter().zip(results) {
            for (sums, sender) in sums.chunks_exact(d).zip(group.clone()) {
                to.row(sender)[own..own + d].copy_from_slice(sums);
            }
        }
    }

    /// Writes the gradients of queries.
    #[inline(always)]
    fn finish_receivers(&mut self) {
        let AttentionShape {
            receivers,
            head_dim,
            ..
        } = self.example.shape;
        let heads = self.query_sums.chunks_exact(receivers * head_dim);
        for (own, sums) in heads.enumerate() {
            for (i, sums) in sums.chunks_exact(head_dim).enumerate() {
                let to = &mut self.d_queries.row(i)[own * head_dim..][..head_dim];
                to.copy_from_slice(sums);
            }
        }
    }
}
