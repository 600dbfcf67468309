//! The resolved look-up tokenizer of sequences.

use serde::Serialize;

use crate::model::spec::layer::positive;
use crate::model::spec::node::{Node, OwnTensor, trained};
use crate::model::{ConfigError, EmbeddingConfig};

/// A learned vector per symbol beside a learned vector per position.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EmbeddingSpec {
    /// Path of `embedding.weight`, `[vocabulary, dim]`, and `positions`, `[max_len, position_dim]`.
    pub path: String,
    /// Number of symbols, padding included.
    pub vocabulary: usize,
    /// Features of a symbol.
    pub dim: usize,
    /// Longest sequence.
    pub max_len: usize,
    /// Features of a position.
    pub position_dim: usize,
    /// Symbol that means padding.
    pub pad: i64,
}

impl EmbeddingConfig {
    /// The tokenizer with these settings at `path` for sequences of up to `max_len` of `vocabulary` symbols.
    ///
    /// # Errors
    /// [`ConfigError::Setting`] if a size is zero.
    pub fn resolve(
        &self,
        path: &str,
        (vocabulary, max_len, pad): (usize, usize, i64),
    ) -> Result<EmbeddingSpec, ConfigError> {
        Ok(EmbeddingSpec {
            path: path.to_owned(),
            vocabulary: positive("vocabulary", vocabulary)?,
            dim: positive("dim", self.dim)?,
            max_len: positive("max_len", max_len)?,
            position_dim: positive("position_dim", self.position_dim)?,
            pad,
        })
    }
}

impl EmbeddingSpec {
    /// Features of a token.
    #[must_use]
    pub fn token_dim(&self) -> usize {
        self.dim + self.position_dim
    }
}

impl Node for EmbeddingSpec {
    fn path(&self) -> &str {
        &self.path
    }

    fn describe(&self) -> String {
        let (symbols, length) = (self.vocabulary, self.max_len);
        format!("embedding of {symbols} symbols, up to {length} tokens")
    }

    fn tensors(&self) -> Vec<OwnTensor> {
        vec![
            trained("embedding.weight", &[self.vocabulary, self.dim]),
            trained("positions", &[self.max_len, self.position_dim]),
        ]
    }
}
