//! An undirected graph while it is being built.

use std::collections::BTreeSet;

use crate::Csr;

/// Neighbours of each module; never a self edge, never one edge twice.
#[derive(Debug, Clone)]
pub(super) struct Edges {
    neighbours: Vec<BTreeSet<usize>>,
}

impl Edges {
    pub(super) fn none(n: usize) -> Self {
        Self {
            neighbours: vec![BTreeSet::new(); n],
        }
    }

    /// Links two modules; a self edge is ignored.
    pub(super) fn add(&mut self, a: usize, b: usize) {
        if a != b {
            self.neighbours[a].insert(b);
            self.neighbours[b].insert(a);
        }
    }

    pub(super) fn remove(&mut self, a: usize, b: usize) {
        self.neighbours[a].remove(&b);
        self.neighbours[b].remove(&a);
    }

    pub(super) fn contains(&self, a: usize, b: usize) -> bool {
        self.neighbours[a].contains(&b)
    }

    pub(super) fn degree(&self, module: usize) -> usize {
        self.neighbours[module].len()
    }

    pub(super) fn into_csr(self) -> Csr {
        let n = self.neighbours.len();
        let rows = self.neighbours.into_iter();
        Csr::from_sorted_rows(n, rows.map(|row| row.into_iter().collect()))
    }
}
