//! Buffers that a run keeps for the next.

use crate::simd::Row;

/// Buffers of a run. They keep their sizes, so that the next run of the same size allocates nothing.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    pub(crate) tokens: Vec<Row>,
    pub(crate) mask: Vec<bool>,
    pub(super) stored_tokens: Vec<Row>,
    pub(super) read: Vec<Row>,
    pub(super) stored_read: Vec<Row>,
    pub(super) states: Vec<Row>,
    pub(super) stored: Vec<Row>,
    pub(super) stored_next: Vec<Row>,
    pub(super) answers: Vec<Row>,
    pub(crate) outputs: Vec<Row>,
}

/// The tokens of a run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TokenCount {
    pub(crate) examples: usize,
    /// Tokens of an example.
    pub(crate) tokens: usize,
    /// Whether `mask` says which of them are there.
    pub(crate) masked: bool,
}

/// Makes a buffer that long; its old numbers do not matter.
pub(crate) fn fit(buffer: &mut Vec<Row>, rows: usize) {
    buffer.resize(rows, Row::ZERO);
}
