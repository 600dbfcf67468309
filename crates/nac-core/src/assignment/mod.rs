//! The assignment of least cost: each row takes one column, each column is taken once.
//!
//! `min_π Σ_i C[i, π(i)]` over all permutations `π`, exactly, by shortest augmenting paths with dual
//! potentials (Jonker and Volgenant, *A shortest augmenting path algorithm for dense and sparse
//! linear assignment problems*, Computing 38, 1987). Potentials `v` of the columns say how costly a
//! column is: an assignment in which every row takes a column of least `C[i, j] − v[j]` is optimal.
//! From a good guess of the potentials (`start.rs`), rows first bid for columns (`bids.rs`);
//! each row that is left without one then takes a shortest path of exchanges to a free column
//! (`path.rs`).
//!
//! Where several assignments are equally good, the same costs always give the same one of them.

mod bids;
mod path;
mod start;
mod state;

use std::borrow::Cow;

use ndarray::ArrayView2;

use crate::CoreError;
use crate::kernel::first_unfit;
use state::{Rows, State};

/// Rounds of bids. Rows that are still without a column would need long chains of small bids, which
/// a path resolves at once.
const ROUNDS: usize = 2;
/// Costs are at most this large, so that no sum of them overflows.
const LARGEST: f64 = 1e300;

/// An assignment of rows to columns.
#[derive(Debug, Clone, PartialEq)]
pub struct Assignment {
    /// The column that each row takes, `[rows]`.
    pub columns: Vec<usize>,
    /// Sum of the assigned costs, in the order of rows.
    pub cost: f64,
    /// Column potentials that prove optimality, `[columns]`: no row has a cheaper column
    /// by `C[i, j] − v[j]` than the one it takes.
    pub potentials: Vec<f64>,
}

/// Assigns rows to columns at least cost.
///
/// # Shapes
/// - costs: `[n, n]`, at most `1e300` in size
///
/// # Errors
/// [`CoreError::ShapeMismatch`] if the costs are not square, [`CoreError::InvalidValue`] if one is
/// NaN or too large.
pub fn assign(costs: ArrayView2<'_, f64>) -> Result<Assignment, CoreError> {
    let op = "assign";
    let n = costs.nrows();
    if !costs.is_square() {
        let expected = "as many rows as columns";
        return Err(CoreError::shapes(op, &[n], &[costs.ncols()], expected));
    }
    if let Some((index, value)) = first_unfit(costs, |cost| cost.abs() <= LARGEST) {
        let expected = "a number of at most 1e300 in size";
        return Err(CoreError::value(op, "costs", index, value, expected));
    }
    let costs = match costs.to_slice() {
        Some(costs) => Cow::Borrowed(costs),
        None => Cow::Owned(costs.iter().copied().collect()),
    };
    let rows = Rows { costs: &costs, n };
    let mut state = State {
        row_of: vec![None; n],
        column_of: vec![None; n],
        potentials: start::potentials(rows),
    };
    let mut free: Vec<usize> = (0..n).collect();
    for _ in 0..ROUNDS {
        free = bids::round(rows, &mut state, free);
    }
    let mut search = path::Search::new(n);
    for row in free {
        search.augment(rows, &mut state, row);
    }
    // Every row has a column.
    let columns: Vec<usize> = state.column_of.into_iter().flatten().collect();
    let taken = rows.iter().zip(&columns).map(|(row, &j)| row[j]);
    Ok(Assignment {
        cost: taken.sum(),
        columns,
        potentials: state.potentials,
    })
}

#[cfg(test)]
mod tests;
