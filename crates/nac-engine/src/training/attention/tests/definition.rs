//! Attention by its definition, in double precision, with its gradient.

use nac_core::Streams;

use super::super::AttentionShape;

/// Operands of one batch, in double precision, with a link for each pair.
#[derive(Debug, Clone)]
pub(super) struct Case {
    pub(super) batch: usize,
    pub(super) shape: AttentionShape,
    pub(super) queries: Vec<f64>,
    pub(super) keys: Vec<f64>,
    pub(super) values: Vec<f64>,
    /// `[batch, receivers, senders]`
    pub(super) links: Vec<f64>,
    pub(super) mask: Vec<bool>,
}

pub(super) fn normal(name: &str, count: usize) -> Vec<f64> {
    let mut values = vec![0.0_f32; count];
    Streams::new(7).stream(name).fill_normal(&mut values);
    values.into_iter().map(f64::from).collect()
}

impl Case {
    /// Every `cut`-th pair is not linked, the first receiver not at all, and every `pad`-th sender is padding.
    pub(super) fn new(batch: usize, shape: AttentionShape, (cut, pad): (usize, usize)) -> Self {
        let AttentionShape {
            receivers, senders, ..
        } = shape;
        let (own, other) = (receivers * shape.width(), senders * shape.width());
        let pairs = receivers * senders;
        let mut links = normal("links", batch * pairs);
        for (index, log) in links.iter_mut().enumerate() {
            *log = -log.abs() * 3.0;
            let isolated = index % pairs / senders == 0 && receivers > 1;
            if cut > 0 && (index % cut == cut - 1 || isolated) {
                *log = f64::NEG_INFINITY;
            }
        }
        let mask = (0..batch * senders).map(|j| pad == 0 || j % pad != 0);
        Self {
            batch,
            shape,
            queries: normal("queries", batch * own),
            keys: normal("keys", batch * other),
            values: normal("values", batch * other),
            links,
            mask: mask.collect(),
        }
    }

    /// `P` of one head of one receiver.
    pub(super) fn weights(&self, b: usize, head: usize, i: usize) -> Vec<f64> {
        let AttentionShape {
            receivers,
            senders,
            head_dim,
            ..
        } = self.shape;
        let real = &self.mask[b * senders..(b + 1) * senders];
        let nothing = !real.contains(&true);
        let scale = self.scale(b);
        let score = |j: usize| {
            let dot: f64 = (0..head_dim)
                .map(|t| {
                    self.queries[self.slot(b, receivers, i, head) + t]
                        * self.keys[self.slot(b, senders, j, head) + t]
                })
                .sum();
            let padding = if real[j] || nothing {
                0.0
            } else {
                f64::NEG_INFINITY
            };
            dot * scale + self.links[(b * receivers + i) * senders + j] + padding
        };
        let scores: Vec<f64> = (0..senders).map(score).collect();
        let highest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if highest == f64::NEG_INFINITY {
            return vec![0.0; senders];
        }
        let weights: Vec<f64> = scores.iter().map(|s| (s - highest).exp()).collect();
        let sum: f64 = weights.iter().sum();
        weights.iter().map(|w| w / sum).collect()
    }

    /// Factor on scores; nothing but padding has equal weights.
    pub(super) fn scale(&self, b: usize) -> f64 {
        let senders = self.shape.senders;
        let nothing = !self.mask[b * senders..(b + 1) * senders].contains(&true);
        if nothing {
            0.0
        } else {
            1.0 / (self.shape.head_dim as f64).sqrt()
        }
    }

    pub(super) fn slot(&self, b: usize, items: usize, item: usize, head: usize) -> usize {
        (b * items + item) * self.shape.width() + head * self.shape.head_dim
    }

    pub(super) fn forward(&self) -> Vec<f64> {
        let AttentionShape {
            receivers,
            senders,
            heads,
            head_dim,
        } = self.shape;
        let mut out = vec![0.0; self.queries.len()];
        for (b, head, i) in all(self.batch, heads, receivers) {
            for (j, weight) in self.weights(b, head, i).iter().enumerate() {
                for t in 0..head_dim {
                    out[self.slot(b, receivers, i, head) + t] +=
                        weight * self.values[self.slot(b, senders, j, head) + t];
                }
            }
        }
        out
    }

    /// Gradients of queries, keys, values and links by the formulas of the module's documentation.
    pub(super) fn backward(&self, d_out: &[f64]) -> [Vec<f64>; 4] {
        let AttentionShape {
            receivers,
            senders,
            heads,
            head_dim,
        } = self.shape;
        let [mut dq, mut dk, mut dv, mut dl] =
            [&self.queries, &self.keys, &self.values, &self.links].map(|x| vec![0.0; x.len()]);
        for (b, head, i) in all(self.batch, heads, receivers) {
            let weights = self.weights(b, head, i);
            let own = self.slot(b, receivers, i, head);
            let d_weight: Vec<f64> = (0..senders)
                .map(|j| {
                    (0..head_dim)
                        .map(|t| d_out[own + t] * self.values[self.slot(b, senders, j, head) + t])
                        .sum()
                })
                .collect();
            let along: f64 = weights.iter().zip(&d_weight).map(|(w, g)| w * g).sum();
            for j in 0..senders {
                let other = self.slot(b, senders, j, head);
                let d_score = weights[j] * (d_weight[j] - along);
                dl[(b * receivers + i) * senders + j] += d_score;
                for t in 0..head_dim {
                    dv[other + t] += weights[j] * d_out[own + t];
                    dq[own + t] += d_score * self.scale(b) * self.keys[other + t];
                    dk[other + t] += d_score * self.scale(b) * self.queries[own + t];
                }
            }
        }
        [dq, dk, dv, dl]
    }
}

pub(super) fn all(
    batch: usize,
    heads: usize,
    receivers: usize,
) -> impl Iterator<Item = (usize, usize, usize)> {
    (0..batch * heads * receivers).map(move |n| {
        (
            n / (heads * receivers),
            n / receivers % heads,
            n % receivers,
        )
    })
}
