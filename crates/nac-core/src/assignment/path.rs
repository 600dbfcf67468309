//! Shortest augmenting paths: a row without a column takes one from another row, which takes
//! another, until one takes a free column; of all such chains the cheapest (Dijkstra's method on
//! reduced costs).

use super::state::{Rows, State};

/// Buffers of a search, reused by the next.
pub(super) struct Search {
    /// Length of the shortest path to each column that is known so far.
    length: Vec<f64>,
    /// The row from which that path enters the column.
    from: Vec<usize>,
    /// All columns: settled ones, then those at the least length, then the rest.
    order: Vec<usize>,
}

impl Search {
    pub(super) fn new(n: usize) -> Self {
        Self {
            length: vec![0.0; n],
            from: vec![0; n],
            order: (0..n).collect(),
        }
    }

    /// Assigns a column to `row`, which has none, along a shortest path, and updates the potentials
    /// of the settled columns so that each row's column stays its cheapest.
    pub(super) fn augment(&mut self, rows: Rows<'_>, state: &mut State, row: usize) {
        let Some(end) = self.find(rows, state, row) else {
            return;
        };
        let mut column = end;
        loop {
            let taker = self.from[column];
            let left = state.column_of[taker];
            state.row_of[column] = Some(taker);
            state.column_of[taker] = Some(column);
            match left {
                Some(left) if taker != row => column = left,
                _ => return,
            }
        }
    }

    /// The free column nearest to `row`, if any column is free.
    fn find(&mut self, rows: Rows<'_>, state: &mut State, row: usize) -> Option<usize> {
        for (j, (cost, v)) in rows.row(row).iter().zip(&state.potentials).enumerate() {
            (self.length[j], self.from[j], self.order[j]) = (cost - v, row, j);
        }
        // `order[..settled]` are settled, `order[settled..near]` are at the least length.
        let mut settled = 0;
        while settled < rows.n {
            let (least, mut near) = self.nearest(settled);
            let before = settled;
            let mut end = self.free_of(state, settled..near);
            while let (None, true) = (end, settled < near) {
                let column = self.order[settled];
                settled += 1;
                // A free column would have ended the search.
                let owner = state.row_of[column]?;
                let known = near;
                near = self.relax(rows, state, (owner, column), least, near);
                end = self.free_of(state, known..near);
            }
            if end.is_some() {
                for &j in &self.order[..before] {
                    state.potentials[j] += self.length[j] - least;
                }
                return end;
            }
        }
        None
    }

    /// Moves the columns at the least length among `order[start..]` to its start; returns that
    /// length and where they end.
    fn nearest(&mut self, start: usize) -> (f64, usize) {
        let (mut least, mut end) = (f64::INFINITY, start);
        for k in start..self.order.len() {
            let length = self.length[self.order[k]];
            if length <= least {
                if length < least {
                    (least, end) = (length, start);
                }
                self.order.swap(end, k);
                end += 1;
            }
        }
        (least, end)
    }

    /// Relaxes all paths through `owner`, which would give up `column` at length `least`; columns
    /// that turn out to be as near join `order[..near]`.
    fn relax(
        &mut self,
        rows: Rows<'_>,
        state: &State,
        (owner, column): (usize, usize),
        least: f64,
        mut near: usize,
    ) -> usize {
        let costs = rows.row(owner);
        let given_up = costs[column] - state.potentials[column] - least;
        let farther = near..self.order.len();
        for k in farther {
            let j = self.order[k];
            let length = costs[j] - state.potentials[j] - given_up;
            if length < self.length[j] {
                (self.length[j], self.from[j]) = (length, owner);
                if length <= least {
                    self.order.swap(near, k);
                    near += 1;
                }
            }
        }
        near
    }

    fn free_of(&self, state: &State, range: std::ops::Range<usize>) -> Option<usize> {
        let mut columns = self.order[range].iter().copied();
        columns.find(|&j| state.row_of[j].is_none())
    }
}
