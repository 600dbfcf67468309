//! Attention over the edges of a graph: each receiver of a block attends to its senders only.
//!
//! `out_u = Σ_{v → u} softmax_v(q_u · k_v + log P_uv) v_v`. Keys and values are item-major: an edge costs two dot
//! products of a head's width for each head, whatever the number of modules. The softmax keeps a
//! running maximum and sum (arXiv 2205.14135) for receivers with more than [`EDGES`] edges.

use pulp::{Simd, WithSimd};

use super::math::exp2;
use super::prefetch::prefetch;
use super::transpose::ALIGN;

/// Heads whose scores are held at a time.
const HEADS: usize = 16;

/// Edges whose scores are held at a time.
const EDGES: usize = 256;

/// How many scores are held.
pub(crate) const SCORES: usize = HEADS * EDGES;

/// Senders are prefetched this many edges ahead.
const AHEAD: usize = 2;

/// Below every score, but finite.
const LOWEST: f32 = -1e30;

/// Features of one head of an item; multiples of [`ALIGN`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) heads: usize,
    pub(crate) key: usize,
    pub(crate) value: usize,
}

/// Edges from one set of senders to the receivers of a block.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Edges<'a> {
    /// For each sender the keys of all heads, then the values of all heads.
    pub(crate) items: &'a [f32],
    /// Where the edges of each receiver start, and where the last ones end.
    pub(crate) offsets: &'a [usize],
    /// The sender of each edge of all receivers.
    pub(crate) senders: &'a [u32],
    /// Added to the score of each edge, times `log₂ e`; nothing without.
    pub(crate) bias: Option<&'a [f32]>,
    /// Factor on each weight after the softmax; one without.
    pub(crate) factor: Option<&'a [f32]>,
}

impl Edges<'_> {
    /// No edges at all.
    pub(crate) const NONE: Self = Self {
        items: &[],
        offsets: &[],
        senders: &[],
        bias: None,
        factor: None,
    };
}

/// All heads of one block of receivers.
pub(crate) struct AttendEdges<'a> {
    pub(crate) shape: Shape,
    /// `[32][heads · key]`, already times `log₂ e` and divided by the root of the head's width.
    pub(crate) queries: &'a [f32],
    pub(crate) sets: &'a [Edges<'a>],
    /// Scratch for [`SCORES`] scores.
    pub(crate) scores: &'a mut [f32],
    /// `[32][heads · value]`.
    pub(crate) out: &'a mut [f32],
}

impl WithSimd for AttendEdges<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Shape { heads, key, value } = self.shape;
        self.out.fill(0.0);
        let outs = self.out.chunks_exact_mut(heads * value);
        let queries = self.queries.chunks_exact(heads * key);
        for (receiver, (out, query)) in outs.zip(queries).enumerate() {
            let groups = out.chunks_mut(HEADS * value);
            for (group, (out, query)) in groups.zip(query.chunks(HEADS * key)).enumerate() {
                let slot = HeadGroup {
                    stride: heads * (key + value),
                    key: group * HEADS * key,
                    value: heads * key + group * HEADS * value,
                };
                let mut softmax = [RunningSoftmax::EMPTY; HEADS];
                for set in self.sets {
                    let heads = Heads {
                        shape: self.shape,
                        slot,
                        query,
                        softmax: &mut softmax,
                        scores: self.scores,
                        out,
                    };
                    heads.add(simd, set, receiver);
                }
                for (out, softmax) in out.chunks_exact_mut(value).zip(&softmax) {
                    // The sum of a receiver without any edge is zero, and so is `out`.
                    let share = simd.splat_f32s(1.0 / softmax.sum.max(f32::MIN_POSITIVE));
                    for out in S::as_mut_simd_f32s(out).0 {
                        *out = simd.mul_f32s(*out, share);
                    }
                }
            }
        }
    }
}

/// Where a group of heads is in the items of senders.
#[derive(Debug, Clone, Copy)]
struct HeadGroup {
    stride: usize,
    key: usize,
    value: usize,
}

/// Softmax of a head over the edges seen so far.
#[derive(Debug, Clone, Copy)]
struct RunningSoftmax {
    highest: f32,
    sum: f32,
}

/// A group of heads of one receiver.
struct Heads<'a> {
    shape: Shape,
    slot: HeadGroup,
    query: &'a [f32],
    softmax: &'a mut [RunningSoftmax; HEADS],
    scores: &'a mut [f32],
    /// Not yet divided by the sum.
    out: &'a mut [f32],
}

impl Heads<'_> {
    /// Adds the edges of `receiver` from a set of senders.
    #[inline(always)]
    fn add<S: Simd>(self, simd: S, set: &Edges<'_>, receiver: usize) {
        // The last block may have fewer receivers.
        let Some(&[start, end]) = set.offsets.get(receiver..receiver + 2) else {
            return;
        };
        let Shape { key, value, .. } = self.shape;
        for first in (start..end).step_by(EDGES) {
            let edges = first..end.min(first + EDGES);
            let senders = &set.senders[edges.clone()];
            let scores_of = Scores {
                items: set.items,
                slot: self.slot,
                senders,
                later: &set.senders[first..],
            };
            // The width as a constant, for the usual ones.
            let (query, scores, lanes) = (self.query, &mut *self.scores, S::F32_LANES);
            match key / lanes {
                1 => scores_of.write(simd, query, lanes, scores),
                2 => scores_of.write(simd, query, 2 * lanes, scores),
                4 => scores_of.write(simd, query, 4 * lanes, scores),
                _ => scores_of.write(simd, query, key, scores),
            }
            let outs = self.out.chunks_exact_mut(value).zip(&mut *self.softmax);
            for ((head, (out, softmax)), scores) in outs.enumerate().zip(scores.chunks_mut(EDGES)) {
                let scores = &mut scores[..senders.len().next_multiple_of(ALIGN)];
                scores[senders.len()..].fill(2.0 * LOWEST);
                if let Some(bias) = set.bias {
                    let bias = &bias[edges.clone()];
                    scores.iter_mut().zip(bias).for_each(|(s, b)| *s += b);
                }
                let shrink = softmax.weigh(simd, scores);
                if let Some(factor) = set.factor {
                    let factor = &factor[edges.clone()];
                    scores.iter_mut().zip(factor).for_each(|(s, f)| *s *= f);
                }
                let slot = (self.slot.stride, self.slot.value + head * value);
                let out = S::as_mut_simd_f32s(out).0;
                gather(simd, set.items, slot, senders, scores, shrink, out);
            }
        }
    }
}

impl RunningSoftmax {
    const EMPTY: Self = Self {
        highest: LOWEST,
        sum: 0.0,
    };

    /// Turns scores into weights; returns what sums before shrink by.
    #[inline(always)]
    fn weigh<S: Simd>(&mut self, simd: S, scores: &mut [f32]) -> f32 {
        let scores = S::as_mut_simd_f32s(scores).0;
        let before = simd.splat_f32s(self.highest);
        let highest = scores.iter().fold(before, |a, b| simd.max_f32s(a, *b));
        self.highest = simd.reduce_max_f32s(highest);
        let highest = simd.splat_f32s(self.highest);
        let floor = simd.splat_f32s(LOWEST / 2.0);
        let zero = simd.splat_f32s(0.0);
        let mut sum = zero;
        for score in scores {
            let weight = exp2(simd, simd.sub_f32s(*score, highest));
            let linked = simd.less_than_f32s(floor, *score);
            *score = simd.select_f32s(linked, weight, zero);
            sum = simd.add_f32s(sum, *score);
        }
        let shrink = exp2(simd, simd.sub_f32s(before, highest));
        // All its lanes are equal.
        let shrink = simd.reduce_max_f32s(shrink);
        self.sum = self.sum * shrink + simd.reduce_sum_f32s(sum);
        shrink
    }
}

/// Scores of some senders.
#[derive(Debug, Clone, Copy)]
struct Scores<'a> {
    items: &'a [f32],
    slot: HeadGroup,
    senders: &'a [u32],
    /// These and the ones after them, to prefetch.
    later: &'a [u32],
}

impl Scores<'_> {
    /// `scores[head][edge] = q · k` for the heads of `query`, of `key` features each. Senders in the outer loop, so that
    /// each item is read from its start.
    #[inline(always)]
    fn write<S: Simd>(self, simd: S, query: &[f32], key: usize, scores: &mut [f32]) {
        let HeadGroup {
            stride, key: at, ..
        } = self.slot;
        for (edge, sender) in self.senders.iter().enumerate() {
            if let Some(next) = self.later.get(edge + AHEAD) {
                prefetch(&self.items[*next as usize * stride..][..stride]);
            }
            let keys = &self.items[*sender as usize * stride + at..][..query.len()];
            let heads = query.chunks_exact(key).zip(keys.chunks_exact(key));
            for ((query, keys), scores) in heads.zip(scores.chunks_mut(EDGES)) {
                let (query, keys) = (S::as_simd_f32s(query).0, S::as_simd_f32s(keys).0);
                let mut sums = [simd.splat_f32s(0.0); 2];
                for (i, (q, k)) in query.iter().zip(keys).enumerate() {
                    sums[i % 2] = simd.mul_add_f32s(*q, *k, sums[i % 2]);
                }
                scores[edge] = simd.reduce_sum_f32s(simd.add_f32s(sums[0], sums[1]));
            }
        }
    }
}

/// `out = out · shrink + Σ_edges weight · v`.
#[inline(always)]
fn gather<S: Simd>(
    simd: S,
    items: &[f32],
    (stride, at): (usize, usize),
    senders: &[u32],
    weights: &[f32],
    shrink: f32,
    out: &mut [S::f32s],
) {
    let (fours, ones) = out.as_chunks_mut::<4>();
    let rest = fours.len() * 4;
    for (i, out) in fours.iter_mut().enumerate() {
        let at = at + i * 4 * S::F32_LANES;
        gather_vectors(simd, items, (stride, at), senders, weights, shrink, out);
    }
    for (i, out) in ones.iter_mut().enumerate() {
        let at = at + (rest + i) * S::F32_LANES;
        let out = std::array::from_mut(out);
        gather_vectors(simd, items, (stride, at), senders, weights, shrink, out);
    }
}

/// The same for as many vectors as stay in registers.
#[inline(always)]
fn gather_vectors<S: Simd, const N: usize>(
    simd: S,
    items: &[f32],
    (stride, at): (usize, usize),
    senders: &[u32],
    weights: &[f32],
    shrink: f32,
    out: &mut [S::f32s; N],
) {
    let shrink = simd.splat_f32s(shrink);
    let mut sums = out.map(|sum| simd.mul_f32s(sum, shrink));
    for (sender, weight) in senders.iter().zip(weights) {
        let value = &items[*sender as usize * stride + at..][..N * S::F32_LANES];
        let weight = simd.splat_f32s(*weight);
        for (sum, value) in sums.iter_mut().zip(S::as_simd_f32s(value).0) {
            *sum = simd.mul_add_f32s(*value, weight, *sum);
        }
    }
    *out = sums;
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use pulp::Arch;

    use super::*;
    use nac_core::rng::Streams;

    /// One set of senders with their items, edges, and bias and factor of each edge.
    struct Set {
        items: Vec<f32>,
        offsets: Vec<usize>,
        senders: Vec<u32>,
        bias: Vec<f32>,
        factor: Vec<f32>,
    }

    impl Set {
        fn draw(name: &str, shape: Shape, receivers: usize, senders: usize, degree: f64) -> Self {
            let streams = Streams::new(1).child(name);
            let normals = |name: &str, count: usize| {
                let mut values = vec![0.0_f32; count];
                streams.stream(name).fill_normal(&mut values);
                values
            };
            let (mut offsets, mut columns) = (vec![0], Vec::new());
            let mut stream = streams.stream("edges");
            for _ in 0..receivers {
                let kept = (0..senders).filter(|_| stream.uniform() * (senders as f64) < degree);
                columns.extend(kept.map(|sender| sender as u32));
                offsets.push(columns.len());
            }
            let bias = normals("bias", columns.len());
            Self {
                items: normals("items", senders * shape.heads * (shape.key + shape.value)),
                offsets,
                factor: bias.iter().map(|x| x * x).collect(),
                senders: columns,
                bias: bias.iter().map(|x| -x.abs()).collect(),
            }
        }

        fn edges(&self, with: (bool, bool)) -> Edges<'_> {
            Edges {
                items: &self.items,
                offsets: &self.offsets,
                senders: &self.senders,
                bias: with.0.then_some(&self.bias),
                factor: with.1.then_some(&self.factor),
            }
        }
    }

    /// The definition, in `f64`.
    fn slow(shape: Shape, queries: &[f32], sets: &[Edges<'_>], receiver: usize) -> Vec<f64> {
        let Shape { heads, key, value } = shape;
        let mut out = vec![0.0; heads * value];
        for head in 0..heads {
            let query = &queries[(receiver * heads + head) * key..][..key];
            let mut scored = Vec::new();
            for set in sets {
                for edge in set.offsets[receiver]..set.offsets[receiver + 1] {
                    let item = heads * (key + value) * set.senders[edge] as usize;
                    let k = &set.items[item + head * key..][..key];
                    let dot = |(q, k): (&f32, &f32)| f64::from(*q) * f64::from(*k);
                    let bias = set.bias.map_or(0.0, |bias| f64::from(bias[edge]));
                    let factor = set.factor.map_or(1.0, |factor| f64::from(factor[edge]));
                    let score = query.iter().zip(k).map(dot).sum::<f64>() + bias;
                    let v = &set.items[item + heads * key + head * value..][..value];
                    scored.push((score, factor, v));
                }
            }
            let highest = scored.iter().fold(f64::MIN, |m, (score, ..)| m.max(*score));
            let sum: f64 = scored
                .iter()
                .map(|(score, ..)| (score - highest).exp2())
                .sum();
            for (score, factor, v) in scored {
                let weight = (score - highest).exp2() / sum * factor;
                let out = &mut out[head * value..][..value];
                for (out, v) in out.iter_mut().zip(v) {
                    *out += weight * f64::from(*v);
                }
            }
        }
        out
    }

    fn check(shape: Shape, receivers: usize, sets: &[Edges<'_>]) {
        let mut queries = vec![0.0_f32; 32 * shape.heads * shape.key];
        Streams::new(2).stream("queries").fill_normal(&mut queries);
        queries
            .iter_mut()
            .for_each(|q| *q /= (shape.key as f32).sqrt());
        let width = shape.heads * shape.value;
        let mut out = vec![f32::NAN; 32 * width];
        Arch::new().dispatch(AttendEdges {
            shape,
            queries: &queries,
            sets,
            scores: &mut vec![f32::NAN; SCORES],
            out: &mut out,
        });
        for receiver in 0..receivers {
            let expected = slow(shape, &queries, sets, receiver);
            for (found, expected) in out[receiver * width..].iter().zip(expected) {
                let error = (f64::from(*found) - expected).abs();
                assert!(error < 2e-6 * expected.abs().max(1.0), "{found} {expected}");
            }
        }
        assert!(out[receivers * width..].iter().all(|x| *x == 0.0));
    }

    proptest! {
        #[test]
        fn any_graph_is_attended_to_as_defined(
            heads in prop_oneof![1_usize..4, Just(HEADS + 2)],
            key in 1_usize..6,
            value in 1_usize..6,
            receivers in 0_usize..=32,
            senders in (1_usize..80, 1_usize..80),
            degree in prop_oneof![Just(0.0), 0.5_f64..4.0, Just(1e9)],
            with: (bool, bool),
        ) {
            let shape = Shape { heads, key: ALIGN * key, value: ALIGN * value };
            let first = Set::draw("first", shape, receivers, senders.0, degree);
            let second = Set::draw("second", shape, receivers, senders.1, degree / 2.0);
            check(shape, receivers, &[first.edges(with)]);
            check(shape, receivers, &[first.edges(with), second.edges(with)]);
        }
    }

    #[test]
    fn more_edges_than_scores_are_held() {
        let shape = Shape {
            heads: 1,
            key: ALIGN,
            value: ALIGN,
        };
        let mut set = Set::draw("many", shape, 2, 2 * EDGES + 5, 1e9);
        // The highest score comes in the second chunk.
        set.bias[EDGES + 3] = 9.0;
        check(shape, 2, &[set.edges((true, true))]);
    }
}
