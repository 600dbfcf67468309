//! Settings of the tokenizer of sequences of symbols by a look-up.

use serde::{Deserialize, Serialize};

/// Settings of the sequence tokenizer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EmbeddingConfig {
    /// Features per symbol. Default 192.
    pub dim: usize,
    /// Features per position. Default 64.
    pub position_dim: usize,
}

impl Default for EmbeddingConfig {
    fn default() -> Self {
        Self {
            dim: 192,
            position_dim: 64,
        }
    }
}
