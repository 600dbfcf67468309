//! Attention over edges: each receiver attends to the senders that it has an edge from, and to no other.

use std::f32::consts::LOG2_E;

use super::graph::EdgeGraph;
use super::operands::{Example, ExampleGradients, ExampleOutput};
use crate::training::compute::Compute;

pub(super) fn forward(
    _compute: &Compute,
    example: &Example<'_>,
    (graph, log): (&EdgeGraph, &[f32]),
    out: &mut [f32],
    log_sums: &mut [f32],
) {
    let (shape, width) = (example.shape, example.shape.width());
    out.fill(0.0);
    for (i, (first, senders)) in graph.rows().enumerate() {
        for head in 0..shape.heads {
            let score =
                |(e, j): (usize, &u32)| score(example, head, (i, *j as usize), log[first + e]);
            let scores = senders.iter().enumerate().map(score);
            let highest = scores.clone().fold(-3e38, f32::max);
            let mut sum = 0.0;
            let slot = i * width + head * shape.head_dim;
            let out = &mut out[slot..slot + shape.head_dim];
            for (score, j) in scores.zip(senders) {
                let weight = (score - highest).exp2();
                sum += weight;
                let slot = *j as usize * width + head * shape.head_dim;
                for (o, v) in out.iter_mut().zip(&example.values[slot..]) {
                    *o += weight * v;
                }
            }
            let sum = sum.max(f32::MIN_POSITIVE);
            out.iter_mut().for_each(|o| *o /= sum);
            log_sums[head * shape.receivers + i] = highest + sum.log2();
        }
    }
}

/// `(q · k/√d + log link + mask) log₂ e` of one head of an edge.
fn score(example: &Example<'_>, head: usize, (i, j): (usize, usize), log: f32) -> f32 {
    let (d, width) = (example.shape.head_dim, example.shape.width());
    let query = &example.queries[i * width + head * d..][..d];
    let key = &example.keys[j * width + head * d..][..d];
    let dot: f32 = query.iter().zip(key).map(|(q, k)| q * k).sum();
    let padding = match example.padding() {
        Some(mask) if !mask[j] => f32::NEG_INFINITY,
        _ => 0.0,
    };
    (dot * example.scale() + log) * LOG2_E + padding
}

pub(super) fn backward(
    _compute: &Compute,
    example: &Example<'_>,
    (graph, log): (&EdgeGraph, &[f32]),
    output: &ExampleOutput<'_>,
    gradients: &mut ExampleGradients<'_>,
) {
    let (shape, d, width) = (example.shape, example.shape.head_dim, example.shape.width());
    gradients.queries.fill(0.0);
    gradients.keys.fill(0.0);
    gradients.values.fill(0.0);
    if let Some(links) = &mut gradients.links {
        links.fill(0.0);
    }
    let root = example.scale();
    for (i, (first, senders)) in graph.rows().enumerate() {
        for head in 0..shape.heads {
            let own = i * width + head * d..i * width + head * d + d;
            let (out, d_out) = (&output.out[own.clone()], &output.d_out[own.clone()]);
            let along: f32 = out.iter().zip(d_out).map(|(o, g)| o * g).sum();
            for (e, j) in senders.iter().enumerate() {
                let j = *j as usize;
                let other = j * width + head * d..j * width + head * d + d;
                let score = score(example, head, (i, j), log[first + e]);
                let weight = (score - output.log_sums[head * shape.receivers + i]).exp2();
                let values = &example.values[other.clone()];
                let d_weight: f32 = values.iter().zip(d_out).map(|(v, g)| v * g).sum();
                let d_score = weight * (d_weight - along);
                if let Some(links) = &mut gradients.links {
                    links[first + e] += d_score;
                }
                for t in 0..d {
                    gradients.values[other.start + t] += weight * d_out[t];
                    gradients.queries[own.start + t] +=
                        root * d_score * example.keys[other.start + t];
                    gradients.keys[other.start + t] +=
                        root * d_score * example.queries[own.start + t];
                }
            }
        }
    }
}
