//! Reports of several runs: `results.json` for programs, one self-contained `report.html` for people
//! and a table for the terminal.
//!
//! A [`Report`] is plain data: what was run, a [`Row`] per line of the table and the
//! [`RunSummary`](nac_train::summary::RunSummary) of every finished run. It holds no dates and no paths of
//! its own, so the same results give the same bytes.

mod data;
mod error;
mod graph;
mod html;
mod plot;
mod row;
mod table;
#[cfg(test)]
mod tests;
mod write;

pub use data::{Experiment, Report, ReportedRun};
pub use error::ReportError;
pub use row::{Row, Spread, Status, model_label};
pub use table::terminal_table;
pub use write::{SCHEMA, Written};
