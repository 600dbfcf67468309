//! Buffers that a pass leaves to the next one.

use crate::simd::Row;

/// Buffers of a pass. They keep their sizes, so a later pass of the same size allocates nothing.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    pub(crate) tokens: Vec<Row>,
    pub(crate) mask: Vec<bool>,
    pub(super) token_key_values: Vec<Row>,
    pub(super) read_in_states: Vec<Row>,
    pub(super) read_in_key_values: Vec<Row>,
    pub(super) states: Vec<Row>,
    pub(super) key_values: Vec<Row>,
    pub(super) next_key_values: Vec<Row>,
    pub(super) read_out_states: Vec<Row>,
    pub(crate) outputs: Vec<Row>,
}

/// The tokens of a pass.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TokenCount {
    pub(crate) examples: usize,
    /// Tokens of an example.
    pub(crate) tokens: usize,
    /// Whether `mask` says which of them count.
    pub(crate) masked: bool,
}
