//! The backward pass: weights are computed again, a chunk of senders and receivers at a time.

use std::f32::consts::LOG2_E;

use pulp::{Simd, WithSimd};

use super::gradient::RowGradient;
use super::pack::{self, Head, Padded};
use super::transposed::{self, Bias, Chunk, RECEIVERS, SENDERS};
use crate::training::attention::columns::Columns;
use crate::training::attention::operands::{
    Example, ExampleGradients, ExampleLinks, ExampleOutput,
};
use crate::training::attention::rows::dot;
use crate::training::compute::{Buffer, Compute};
use crate::training::product::pairs::{BLOCK, Entered, SQUARE, Unit};

pub(in super::super) fn backward(
    (compute, unit): (&Compute, Unit),
    example: &Example<'_>,
    output: &ExampleOutput<'_>,
    gradients: &mut ExampleGradients<'_>,
    scratch: &mut Buffer,
) {
    let padded = Padded::new(example.shape);
    let d_links = match example.links {
        ExampleLinks::Dense(_) => gradients.links.as_deref_mut(),
        ExampleLinks::None | ExampleLinks::Edges { .. } => None,
    };
    let parts = scratch.parts(lens(example, padded, d_links.is_some()));
    let [
        bias,
        link_sums,
        packing,
        keys,
        keys_turned,
        values,
        queries,
        queries_turned,
        d_out,
        d_out_turned,
        statistics,
        weights,
        d_weights,
        packed,
        d_queries,
        sums,
    ] = parts;
    let integers = bytemuck::cast_slice_mut;
    compute.arch().dispatch(Backward {
        example,
        output,
        padded,
        unit,
        bias,
        packing: integers(packing),
        keys: integers(keys),
        keys_turned: integers(keys_turned),
        values: integers(values),
        queries: integers(queries),
        queries_turned: integers(queries_turned),
        d_out: integers(d_out),
        d_out_turned: integers(d_out_turned),
        statistics,
        weights,
        d_weights,
        packed: integers(packed),
        query_sums: d_queries,
        sums,
        link_sums,
        d_links,
        d_queries: &mut gradients.queries,
        d_keys: &mut gradients.keys,
        d_values: &mut gradients.values,
    });
}

/// Numbers of each part of the scratch memory.
fn lens(example: &Example<'_>, padded: Padded, has_link_gradients: bool) -> [usize; 16] {
    let own = padded.receivers * padded.pairs();
    let other = padded.senders * padded.pairs();
    let chunk = SENDERS * RECEIVERS;
    [
        Bias::len(example, padded),
        usize::from(has_link_gradients) * padded.senders * padded.receivers,
        own.max(other).max(BLOCK * padded.dim),
        other,
        other,
        other,
        own,
        own,
        own,
        own,
        2 * padded.receivers,
        chunk,
        chunk,
        3 * chunk / 2,
        padded.receivers * padded.dim,
        2 * SENDERS * padded.dim,
    ]
}

struct Backward<'a, 'g> {
    example: &'a Example<'a>,
    output: &'a ExampleOutput<'a>,
    padded: Padded,
    unit: Unit,
    /// Scratch for what is added to scores.
    bias: &'a mut [f32],
    /// Scratch for operands on their way.
    packing: &'a mut [u32],
    /// Keys and values of a head, as left operands.
    keys: &'a mut [u32],
    values: &'a mut [u32],
    /// Keys times the factor of scores, transposed, as left operands summed over the senders of a chunk.
    keys_turned: &'a mut [u32],
    /// Queries times the factor of scores and gradients of `out`, as right operands summed over receivers.
    queries: &'a mut [u32],
    d_out: &'a mut [u32],
    /// The same transposed, as right operands summed over the head's width.
    queries_turned: &'a mut [u32],
    d_out_turned: &'a mut [u32],
    /// `log_sums`, infinite beyond the last receiver, and `Σ_d ∇o ⊙ o`.
    statistics: &'a mut [f32],
    /// Weights of a chunk and gradients of its scores, `[senders, receivers]`.
    weights: &'a mut [f32],
    d_weights: &'a mut [f32],
    /// Weights and gradients as left operands of 32 senders, and gradients as a right operand.
    packed: &'a mut [u32],
    /// Gradients of queries, transposed: `[dim, 32]` for each block of 32 receivers.
    query_sums: &'a mut [f32],
    /// Gradients of the keys and of the values of a chunk, `[senders, dim]`.
    sums: &'a mut [f32],
    /// Gradients of links, `[senders, receivers]`, if they are wanted.
    link_sums: &'a mut [f32],
    d_links: Option<&'a mut [f32]>,
    d_queries: &'a mut Columns<'g>,
    d_keys: &'a mut Columns<'g>,
    d_values: &'a mut Columns<'g>,
}

impl WithSimd for Backward<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let padded = self.padded;
        let unit = self.unit.enter();
        let bias = std::mem::take(&mut self.bias);
        let bias = Bias::new(self.example, padded, bias);
        self.link_sums.fill(0.0);
        for head in self.example.heads.clone() {
            self.pack(simd, head);
            for sender in (0..padded.senders).step_by(SENDERS) {
                let senders = SENDERS.min(padded.senders - sender);
                for receiver in (0..padded.receivers).step_by(RECEIVERS) {
                    let chunk = Chunk::new(padded, sender, receiver);
                    self.products(&unit, chunk);
                    for block in (0..senders).step_by(BLOCK) {
                        self.weigh(simd, (chunk, bias), block);
                        self.add_senders(&unit, chunk, block);
                    }
                    self.add_receivers(&unit, chunk);
                }
                self.finish_senders(head, sender, senders);
            }
            self.finish_receivers(head);
        }
        if let Some(d_links) = self.d_links {
            transposed::links(self.example.shape, padded, self.link_sums, d_links);
        }
    }
}

impl Backward<'_, '_> {
    /// Packs the operands of one head.
    #[inline(always)]
    fn pack<S: Simd>(&mut self, simd: S, head: usize) {
        let (example, shape, padded) = (self.example, self.example.shape, self.padded);
        let pairs = padded.pairs();
        let [queries, keys, values, d_out, out] = [
            example.queries,
            example.keys,
            example.values,
            self.output.d_out,
            self.output.out,
        ]
        .map(|all| Head::new(shape, head, all));
        pack::left(simd, keys, 0, 1.0, self.keys);
        pack::left(simd, values, 0, 1.0, self.values);
        let own = padded.receivers * pairs;
        for (head, factor, to) in [
            (queries, example.scale() * LOG2_E, &mut *self.queries_turned),
            (d_out, 1.0, &mut *self.d_out_turned),
        ] {
            pack::left(simd, head, 0, factor, &mut self.packing[..own]);
            pack::turn(&self.packing[..own], pairs, to);
        }
        pack::right(
            simd,
            queries,
            padded.receivers,
            example.scale(),
            self.queries,
        );
        pack::right(simd, d_out, padded.receivers, 1.0, self.d_out);
        let packing = &mut self.packing[..padded.senders * pairs];
        pack::right(simd, keys, padded.senders, example.scale(), packing);
        transposed::keys(packing, padded, SENDERS, self.keys_turned);
        let (log_sums, along) = self.statistics.split_at_mut(padded.receivers);
        let first = head * shape.receivers;
        log_sums[..shape.receivers]
            .copy_from_slice(&self.output.log_sums[first..first + shape.receivers]);
        log_sums[shape.receivers..].fill(f32::INFINITY);
        along[shape.receivers..].fill(0.0);
        for (i, along) in along.iter_mut().enumerate().take(shape.receivers) {
            *along = dot(simd, out.row(i), d_out.row(i));
        }
    }

    /// Products of keys and queries, and of values and the gradient of `out`.
    #[inline(always)]
    fn products(&mut self, unit: &Entered, chunk: Chunk) {
        let pairs = self.padded.pairs();
        for (left, right, to) in [
            (&*self.keys, &*self.queries_turned, &mut *self.weights),
            (&*self.values, &*self.d_out_turned, &mut *self.d_weights),
        ] {
            for row in (0..chunk.senders).step_by(BLOCK) {
                let left = &left[(chunk.sender + row) * pairs..];
                for column in (0..chunk.receivers).step_by(BLOCK) {
                    let right = &right[(chunk.receiver + column) * pairs..];
                    let to = &mut to[row * chunk.receivers + column..];
                    unit.block(
                        (left, right, pairs),
                        Some(&[0.0; BLOCK]),
                        (to, chunk.receivers),
                    );
                }
            }
        }
    }

    /// Turns the products of 32 senders into weights and gradients of scores, and packs them.
    #[inline(always)]
    fn weigh<S: Simd>(&mut self, simd: S, (chunk, bias): (Chunk, Bias<'_>), block: usize) {
        let all = self.padded.receivers;
        let own = chunk.receiver..chunk.receiver + chunk.receivers;
        let (log_sums, along) = self.statistics.split_at(all);
        let (log_sums, along) = (&log_sums[own.clone()], &along[own.clone()]);
        let size = BLOCK * chunk.receivers;
        let part = block * chunk.receivers..block * chunk.receivers + size;
        let (weights, d_weights) = (&mut self.weights[part.clone()], &mut self.d_weights[part]);
        let (left, right) = self.packed.split_at_mut(SENDERS * RECEIVERS);
        let (left, d_left) = left.split_at_mut(size / 2);
        for i in 0..BLOCK {
            let row = i * chunk.receivers..(i + 1) * chunk.receivers;
            let (weights, d_weights) = (&mut weights[row.clone()], &mut d_weights[row.clone()]);
            let links = self.link_sums.get_mut(chunk.links(self.padded, block + i));
            let links = links.unwrap_or_default();
            let half = row.start / 2..row.end / 2;
            let gradient = RowGradient {
                log_sums,
                along,
                links,
                weights,
                gradients: d_weights,
            };
            match bias.row(chunk, block + i) {
                (bias, None) => gradient.run(simd, bias, None),
                (_, same) => gradient.run(simd, &[], same),
            }
            pack::row(simd, weights, 1.0, &mut left[half.clone()]);
            pack::row(simd, d_weights, 1.0, &mut d_left[half]);
        }
        let pairs = chunk.senders / 2;
        for (index, to) in right
            .chunks_exact_mut(pairs * BLOCK)
            .enumerate()
            .take(chunk.receivers / BLOCK)
        {
            let rows = to[block / 2 * BLOCK..].chunks_exact_mut(BLOCK).take(SQUARE);
            for (t, to) in rows.enumerate() {
                let low = &d_weights[t * chunk.receivers..][..chunk.receivers];
                let high = &d_weights[(t + SQUARE) * chunk.receivers..][..chunk.receivers];
                pack::two_rows(simd, [low, high], (index * BLOCK, 1.0), to);
            }
        }
    }

    /// Adds to the gradients of values and keys of 32 senders.
    #[inline(always)]
    fn add_senders(&mut self, unit: &Entered, chunk: Chunk, block: usize) {
        let (dim, half) = (self.padded.dim, chunk.receivers / 2);
        let panel = self.padded.receivers / 2 * BLOCK;
        let start = (chunk.receiver == 0).then_some(&[0.0; BLOCK]);
        let (keys, values) = self.sums.split_at_mut(SENDERS * dim);
        for (part, right, sums) in [(0, &*self.d_out, values), (1, &*self.queries, keys)] {
            let left = &self.packed[part * BLOCK * half..];
            for (index, right) in right.chunks_exact(panel).enumerate() {
                let right = &right[chunk.receiver / 2 * BLOCK..];
                let sums = &mut sums[block * dim + index * BLOCK..];
                unit.block((left, right, half), start, (sums, dim));
            }
        }
    }

    /// Adds to the gradients of queries.
    #[inline(always)]
    fn add_receivers(&mut self, unit: &Entered, chunk: Chunk) {
        let (dim, half) = (self.padded.dim, chunk.senders / 2);
        let start = (chunk.sender == 0).then_some(&[0.0; BLOCK]);
        let keys = &self.keys_turned[chunk.sender * dim / 2..];
        let right = &self.packed[SENDERS * RECEIVERS..];
        for (index, right) in right
            .chunks_exact(half * BLOCK)
            .enumerate()
            .take(chunk.receivers / BLOCK)
        {
            let sums = &mut self.query_sums[(chunk.receiver + index * BLOCK) * dim..];
            for row in (0..dim).step_by(BLOCK) {
                unit.block(
                    (&keys[row * half..], right, half),
                    start,
                    (&mut sums[row * BLOCK..], BLOCK),
                );
            }
        }
    }

    /// Writes the gradients of the keys and values of a chunk.
    #[inline(always)]
    fn finish_senders(&mut self, head: usize, sender: usize, senders: usize) {
        let (shape, dim) = (self.example.shape, self.padded.dim);
        let rows = senders.min(shape.senders - sender);
        let own = (head - self.example.heads.start) * shape.head_dim;
        let (keys, values) = self.sums.split_at(SENDERS * dim);
        for (from, to) in [(keys, &mut *self.d_keys), (values, &mut *self.d_values)] {
            for (i, from) in from.chunks_exact(dim).enumerate().take(rows) {
                let to = &mut to.row(sender + i)[own..own + shape.head_dim];
                to.copy_from_slice(&from[..shape.head_dim]);
            }
        }
    }

    /// Writes the gradients of queries.
    #[inline(always)]
    fn finish_receivers(&mut self, head: usize) {
        let (shape, dim) = (self.example.shape, self.padded.dim);
        let rows = &mut self.packing[..BLOCK * dim];
        let own = (head - self.example.heads.start) * shape.head_dim;
        let blocks = self.query_sums.chunks_exact(BLOCK * dim);
        for (block, from) in blocks.enumerate() {
            pack::squares(bytemuck::cast_slice(from), BLOCK, rows, dim, (dim, BLOCK));
            let first = block * BLOCK;
            let count = BLOCK.min(shape.receivers - first);
            for (i, from) in rows.chunks_exact(dim).enumerate().take(count) {
                let from: &[f32] = bytemuck::cast_slice(&from[..shape.head_dim]);
                let to = &mut self.d_queries.row(first + i)[own..own + shape.head_dim];
                to.copy_from_slice(from);
            }
        }
    }
}
