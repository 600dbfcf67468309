//! Attention over edges: each receiver attends to the senders that it has an edge from, and to no other.
//!
//! A product of a query and a key is one sum along the head's width; work and memory grow with edges.

use std::f32::consts::LOG2_E;

use pulp::{Simd, WithSimd};

use super::columns::Columns;
use super::graph::EdgeGraph;
use super::operands::{Example, ExampleGradients, ExampleOutput};
use super::pack::aligned;
use super::rows::{RowGradient, RunningSoftmax, Scoring, add_scaled, dot};
use crate::training::compute::{Buffer, Compute};

/// Edges, and the logarithms of their links.
pub(super) type LoggedEdges<'a> = (&'a EdgeGraph, &'a [f32]);

pub(super) fn forward(
    compute: &Compute,
    example: &Example<'_>,
    edges: LoggedEdges<'_>,
    (out, log_sums): (&mut Columns<'_>, &mut [f32]),
    scratch: &mut Buffer,
) {
    compute.arch().dispatch(Forward {
        example,
        edges,
        scores: scratch.take(aligned(edges.0.most_edges())),
        out,
        log_sums,
    });
}

pub(super) fn backward(
    compute: &Compute,
    example: &Example<'_>,
    edges: LoggedEdges<'_>,
    (output, gradients): (&ExampleOutput<'_>, &mut ExampleGradients<'_>),
    scratch: &mut Buffer,
) {
    let most = aligned(edges.0.most_edges());
    let [weights, d_weights] = scratch.parts([most, most]);
    compute.arch().dispatch(Backward {
        example,
        edges,
        output,
        gradients,
        weights,
        d_weights,
    });
}

/// How the products of the edges from `first` become scores.
#[inline(always)]
fn scoring<'a>(example: &Example<'_>, log: &'a [f32], first: usize, count: usize) -> Scoring<'a> {
    Scoring {
        scale: example.scale() * LOG2_E,
        links: Some(&log[first..first + count]),
        padding: None,
    }
}

/// The head that starts at `column` of an item of `all`.
#[inline(always)]
fn head<'a>(example: &Example<'_>, all: &'a [f32], item: usize, column: usize) -> &'a [f32] {
    &all[item * example.shape.width() + column..][..example.shape.head_dim]
}

/// Products of the query of a head with the keys of `senders`, −∞ for padding.
#[inline(always)]
fn products<S: Simd>(
    simd: S,
    example: &Example<'_>,
    query: &[f32],
    (senders, column): (&[u32], usize),
    to: &mut [f32],
) {
    let padding = example.padding();
    for (product, sender) in to.iter_mut().zip(senders) {
        let sender = *sender as usize;
        *product = dot(simd, query, head(example, example.keys, sender, column));
        if padding.is_some_and(|mask| !mask[sender]) {
            *product = f32::NEG_INFINITY;
        }
    }
}

struct Forward<'a, 'o> {
    example: &'a Example<'a>,
    edges: LoggedEdges<'a>,
    /// Scratch for the scores of a receiver.
    scores: &'a mut [f32],
    out: &'a mut Columns<'o>,
    log_sums: &'a mut [f32],
}

impl WithSimd for Forward<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (example, (graph, log)) = (self.example, self.edges);
        let (shape, d) = (example.shape, example.shape.head_dim);
        self.out.fill(0.0);
        for (i, (first, senders)) in graph.rows().enumerate() {
            let scoring = scoring(example, log, first, senders.len());
            let scores = &mut self.scores[..aligned(senders.len())];
            for h in example.heads.clone() {
                let column = h * d;
                let query = head(example, example.queries, i, column);
                products(simd, example, query, (senders, column), scores);
                let mut softmax = RunningSoftmax::EMPTY;
                softmax.add(simd, scores, senders.len(), scoring);
                let (share, log_sum) = softmax.finish();
                let own = h - example.heads.start;
                self.log_sums[own * shape.receivers + i] = log_sum;
                let out = &mut self.out.row(i)[own * d..(own + 1) * d];
                for (weight, sender) in scores.iter().zip(senders) {
                    let value = head(example, example.values, *sender as usize, column);
                    add_scaled(simd, out, value, weight * share);
                }
            }
        }
    }
}

struct Backward<'a, 'g> {
    example: &'a Example<'a>,
    edges: LoggedEdges<'a>,
    output: &'a ExampleOutput<'a>,
    gradients: &'a mut ExampleGradients<'g>,
    /// Scratch for the weights of a receiver, and for their gradients.
    weights: &'a mut [f32],
    d_weights: &'a mut [f32],
}

impl WithSimd for Backward<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        self.gradients.queries.fill(0.0);
        self.gradients.keys.fill(0.0);
        self.gradients.values.fill(0.0);
        for (i, (first, senders)) in self.edges.0.rows().enumerate() {
            for h in self.example.heads.clone() {
                self.weigh(simd, (i, h), first, senders);
                self.add(simd, (i, h), senders);
            }
        }
    }
}

impl Backward<'_, '_> {
    /// Weights of the edges to receiver `i` in head `h`, and the gradients of products of queries and keys.
    #[inline(always)]
    fn weigh<S: Simd>(&mut self, simd: S, (i, h): (usize, usize), first: usize, senders: &[u32]) {
        let (example, output, count) = (self.example, self.output, senders.len());
        let (shape, column) = (example.shape, h * example.shape.head_dim);
        let weights = &mut self.weights[..aligned(count)];
        let gradients = &mut self.d_weights[..aligned(count)];
        let query = head(example, example.queries, i, column);
        products(simd, example, query, (senders, column), weights);
        let d_out = head(example, output.d_out, i, column);
        gradients[count..].fill(0.0);
        for (gradient, sender) in gradients.iter_mut().zip(senders) {
            let value = head(example, example.values, *sender as usize, column);
            *gradient = dot(simd, d_out, value);
        }
        let links = self.gradients.links.as_deref_mut();
        let gradient = RowGradient {
            weights,
            gradients,
            count,
            log_sum: output.log_sums[h * shape.receivers + i],
            along: dot(simd, d_out, head(example, output.out, i, column)),
            links: links.map(|links| (&mut links[first..first + count], h > example.heads.start)),
        };
        gradient.run(simd, scoring(example, self.edges.1, first, count));
    }

    /// Adds the share of these edges to the gradients of queries, keys and values.
    #[inline(always)]
    fn add<S: Simd>(&mut self, simd: S, (i, h): (usize, usize), senders: &[u32]) {
        let (example, d) = (self.example, self.example.shape.head_dim);
        let (column, own) = (h * d, (h - example.heads.start) * d);
        let query = head(example, example.queries, i, column);
        let d_out = head(example, self.output.d_out, i, column);
        let ExampleGradients {
            queries,
            keys,
            values,
            ..
        } = &mut *self.gradients;
        let d_query = &mut queries.row(i)[own..own + d];
        let weights = self.weights.iter().zip(&*self.d_weights);
        for ((weight, gradient), sender) in weights.zip(senders) {
            let sender = *sender as usize;
            let key = head(example, example.keys, sender, column);
            add_scaled(simd, d_query, key, *gradient);
            let d_key = &mut keys.row(sender)[own..own + d];
            add_scaled(simd, d_key, query, *gradient);
            let d_value = &mut values.row(sender)[own..own + d];
            add_scaled(simd, d_value, d_out, *weight);
        }
    }
}
