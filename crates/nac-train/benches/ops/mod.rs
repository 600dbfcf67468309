//! One file per operation.

pub(crate) mod graph_prior;

mod assignment_by_rows;
