//! Graphs drawn from a stream: Erdős–Rényi, planted partition, Watts–Strogatz, Barabási–Albert.

use std::collections::BTreeSet;

use super::edges::Edges;
use crate::Stream;
use crate::prior::cluster_of;

/// Each pair on its own, with probability `p(i, j)`.
pub(super) fn independent(n: usize, stream: &mut Stream, p: impl Fn(usize, usize) -> f64) -> Edges {
    let mut edges = Edges::none(n);
    for i in 0..n {
        for j in i + 1..n {
            if stream.uniform() < p(i, j) {
                edges.add(i, j);
            }
        }
    }
    edges
}

/// Link probability `p_in` within a cluster, `p_out` between two.
pub(super) fn planted_partition(
    n: usize,
    clusters: usize,
    (p_in, p_out): (f64, f64),
    stream: &mut Stream,
) -> Edges {
    let cluster: Vec<usize> = (0..n).map(|i| cluster_of(i, n, clusters)).collect();
    let p = |i: usize, j: usize| {
        if cluster[i] == cluster[j] {
            p_in
        } else {
            p_out
        }
    };
    independent(n, stream, p)
}

/// A ring lattice whose links `i → i + offset` are moved to another end with probability `p`, nearest
/// neighbours first. A module that is linked with all others keeps its link.
pub(super) fn watts_strogatz(n: usize, k: usize, p: f64, stream: &mut Stream) -> Edges {
    let mut edges = Edges::none(n);
    for offset in 1..=k / 2 {
        for i in 0..n {
            edges.add(i, (i + offset) % n);
        }
    }
    for offset in 1..=k / 2 {
        for i in 0..n {
            let old = (i + offset) % n;
            if stream.uniform() >= p || edges.degree(i) == n - 1 {
                continue;
            }
            let new = loop {
                let end = stream.below(n as u64) as usize;
                if end != i && !edges.contains(i, end) {
                    break end;
                }
            };
            edges.remove(i, old);
            edges.add(i, new);
        }
    }
    edges
}

/// Growth with preferential attachment, from a star of `m + 1` modules around module 0.
pub(super) fn barabasi_albert(n: usize, m: usize, stream: &mut Stream) -> Edges {
    let mut edges = Edges::none(n);
    // Every module as often as it has links.
    let mut ends = Vec::with_capacity(2 * m * n);
    for leaf in 1..=m {
        edges.add(0, leaf);
        ends.extend([0, leaf]);
    }
    for module in m + 1..n {
        let mut chosen = BTreeSet::new();
        while chosen.len() < m {
            chosen.insert(ends[stream.below(ends.len() as u64) as usize]);
        }
        for &other in &chosen {
            edges.add(module, other);
            ends.extend([module, other]);
        }
    }
    edges
}
