//! What tokenizers of sequences have in common.

use serde::Serialize;

use crate::model::ConfigError;
use crate::model::spec::layer::positive;
use crate::model::spec::node::{OwnTensor, trained};

/// The sequences that a tokenizer reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct SymbolsSpec {
    /// Number of symbols, padding included.
    pub vocabulary: usize,
    /// Longest sequence.
    pub max_len: usize,
    /// Symbol that means padding; at the end of a sequence only.
    pub pad: i64,
}

impl SymbolsSpec {
    pub(super) fn new(
        (vocabulary, max_len, pad): (usize, usize, i64),
    ) -> Result<Self, ConfigError> {
        Ok(Self {
            vocabulary: positive("vocabulary", vocabulary)?,
            max_len: positive("max_len", max_len)?,
            pad,
        })
    }

    /// Tokens of the longest sequence, if each covers `window` symbols.
    pub(super) fn tokens(&self, window: usize) -> usize {
        self.max_len.div_ceil(window)
    }

    /// The learned vector of each symbol.
    pub(super) fn embedding(&self, dim: usize) -> OwnTensor {
        trained("embedding.weight", &[self.vocabulary, dim])
    }
}

/// The learned vector of each token position, if it has features.
pub(super) fn positions(tokens: usize, dim: usize) -> Option<OwnTensor> {
    (dim > 0).then(|| trained("positions", &[tokens, dim]))
}
