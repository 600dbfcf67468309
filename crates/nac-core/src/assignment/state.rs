//! State of the search for the best assignment: the costs, and which row has which column.

/// A cost matrix, row after row.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    pub(super) costs: &'a [f64],
    pub(super) n: usize,
}

impl<'a> Rows<'a> {
    pub(super) fn row(self, i: usize) -> &'a [f64] {
        &self.costs[i * self.n..(i + 1) * self.n]
    }

    pub(super) fn iter(self) -> impl DoubleEndedIterator<Item = &'a [f64]> {
        (0..self.n).map(move |i| self.row(i))
    }
}

/// A partial assignment, and the potentials of the columns.
///
/// Of every row that has a column, no other column is cheaper: `C[i, j] − v[j]` is least there.
pub(super) struct State {
    pub(super) row_of: Vec<Option<usize>>,
    pub(super) column_of: Vec<Option<usize>>,
    pub(super) potentials: Vec<f64>,
}

impl State {
    /// Assigns `column` to `row`; returns the row that had it.
    pub(super) fn assign(&mut self, row: usize, column: usize) -> Option<usize> {
        let before = self.row_of[column].replace(row);
        if let Some(before) = before {
            self.column_of[before] = None;
        }
        self.column_of[row] = Some(column);
        before
    }
}
