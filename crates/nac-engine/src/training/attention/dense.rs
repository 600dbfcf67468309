//! Attention of all receivers to all senders, with a link for each pair or none.

use std::f32::consts::LOG2_E;

use super::operands::{Example, ExampleGradients, ExampleLinks, ExampleOutput};
use crate::training::compute::{Buffer, Compute};

pub(super) fn forward(
    _compute: &Compute,
    example: &Example<'_>,
    out: &mut [f32],
    log_sums: &mut [f32],
    scratch: &mut Buffer,
) {
    let (shape, d, width) = (example.shape, example.shape.head_dim, example.shape.width());
    let scores = scratch.take(shape.senders);
    out.fill(0.0);
    for i in 0..shape.receivers {
        for head in 0..shape.heads {
            score(example, head, i, scores);
            let highest = scores.iter().copied().fold(-3e38, f32::max);
            let mut sum = 0.0;
            let out = &mut out[i * width + head * d..][..d];
            for (j, score) in scores.iter().enumerate() {
                let weight = (score - highest).exp2();
                sum += weight;
                for (o, v) in out.iter_mut().zip(&example.values[j * width + head * d..]) {
                    *o += weight * v;
                }
            }
            let sum = sum.max(f32::MIN_POSITIVE);
            out.iter_mut().for_each(|o| *o /= sum);
            log_sums[head * shape.receivers + i] = highest + sum.log2();
        }
    }
}

/// `(q · k/√d + log link + mask) log₂ e` of one head of one receiver.
fn score(example: &Example<'_>, head: usize, i: usize, scores: &mut [f32]) {
    let (d, width) = (example.shape.head_dim, example.shape.width());
    let query = &example.queries[i * width + head * d..][..d];
    for (j, score) in scores.iter_mut().enumerate() {
        let key = &example.keys[j * width + head * d..][..d];
        let dot: f32 = query.iter().zip(key).map(|(q, k)| q * k).sum();
        let log = match example.links {
            ExampleLinks::Dense(log) => log[i * example.shape.senders + j],
            _ => 0.0,
        };
        let padding = match example.padding() {
            Some(mask) if !mask[j] => f32::NEG_INFINITY,
            _ => 0.0,
        };
        *score = (dot * example.scale() + log) * LOG2_E + padding;
    }
}

pub(super) fn backward(
    _compute: &Compute,
    example: &Example<'_>,
    output: &ExampleOutput<'_>,
    gradients: &mut ExampleGradients<'_>,
    scratch: &mut Buffer,
) {
    let (shape, d, width) = (example.shape, example.shape.head_dim, example.shape.width());
    let scores = scratch.take(shape.senders);
    gradients.queries.fill(0.0);
    gradients.keys.fill(0.0);
    gradients.values.fill(0.0);
    let mut d_links = match example.links {
        ExampleLinks::Dense(_) => gradients.links.as_deref_mut(),
        _ => None,
    };
    if let Some(links) = &mut d_links {
        links.fill(0.0);
    }
    let root = example.scale();
    for i in 0..shape.receivers {
        for head in 0..shape.heads {
            score(example, head, i, scores);
            let own = i * width + head * d;
            let (out, d_out) = (&output.out[own..own + d], &output.d_out[own..own + d]);
            let along: f32 = out.iter().zip(d_out).map(|(o, g)| o * g).sum();
            for (j, score) in scores.iter().enumerate() {
                let other = j * width + head * d;
                let weight = (score - output.log_sums[head * shape.receivers + i]).exp2();
                let values = &example.values[other..other + d];
                let d_weight: f32 = values.iter().zip(d_out).map(|(v, g)| v * g).sum();
                let d_score = weight * (d_weight - along);
                if let Some(links) = &mut d_links {
                    links[i * shape.senders + j] += d_score;
                }
                for t in 0..d {
                    gradients.values[other + t] += weight * d_out[t];
                    gradients.queries[own + t] += root * d_score * example.keys[other + t];
                    gradients.keys[other + t] += root * d_score * example.queries[own + t];
                }
            }
        }
    }
}
