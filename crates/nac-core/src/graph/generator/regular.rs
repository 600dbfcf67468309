//! Graphs without randomness.

use super::edges::Edges;
use crate::prior::cluster_of;

/// Every pair.
pub(super) fn complete(n: usize) -> Edges {
    let mut edges = Edges::none(n);
    for i in 0..n {
        for j in 0..i {
            edges.add(i, j);
        }
    }
    edges
}

/// Complete clusters; the second module of each is linked with the first one of the next, round the ring.
pub(super) fn ring_of_cliques(n: usize, cliques: usize) -> Edges {
    let mut edges = Edges::none(n);
    let mut first_of: Vec<usize> = Vec::with_capacity(cliques);
    for i in 0..n {
        let clique = cluster_of(i, n, cliques);
        if clique == first_of.len() {
            first_of.push(i);
        }
        for j in first_of[clique]..i {
            edges.add(i, j);
        }
    }
    for (clique, &first) in first_of.iter().enumerate() {
        let next = first_of[(clique + 1) % cliques];
        let end = first_of.get(clique + 1).copied().unwrap_or(n);
        edges.add((first + 1).min(end - 1), next);
    }
    edges
}

/// A rectangle of rows of `width` modules; `periodic` closes rows and columns.
pub(super) fn grid(n: usize, width: usize, periodic: bool) -> Edges {
    let mut edges = Edges::none(n);
    let height = n / width;
    for i in 0..n {
        let (row, column) = (i / width, i % width);
        if column + 1 < width {
            edges.add(i, i + 1);
        } else if periodic {
            edges.add(i, row * width);
        }
        if row + 1 < height {
            edges.add(i, i + width);
        } else if periodic {
            edges.add(i, column);
        }
    }
    edges
}

/// Two complete halves and a link between the last module of the first and the first of the second.
pub(super) fn barbell(n: usize) -> Edges {
    let half = n / 2;
    let mut edges = Edges::none(n);
    for i in 0..n {
        let first = if i < half { 0 } else { half };
        for j in first..i {
            edges.add(i, j);
        }
    }
    edges.add(half - 1, half);
    edges
}

/// Links between indices that differ in one bit.
pub(super) fn hypercube(n: usize) -> Edges {
    let mut edges = Edges::none(n);
    for i in 0..n {
        for bit in 0..n.ilog2() {
            edges.add(i, i ^ (1 << bit));
        }
    }
    edges
}
