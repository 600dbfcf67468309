//! Settings of the tokenizer of sequences by linear recurrences.

use serde::{Deserialize, Serialize};

/// Settings of the recurrent tokenizer: symbol embeddings through gated diagonal linear recurrences, beside a learned
/// vector for each token position.
///
/// With a window of `w` symbols, a sequence of `n` gives `⌈n / w⌉` tokens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RecurrentConfig {
    /// Features per symbol and of a token. Default 128.
    pub dim: usize,
    /// States of each layer. Default 128.
    pub states: usize,
    /// Layers. Default 2.
    pub layers: usize,
    /// Share of each layer's states whose eigenvalue starts at exactly 1: they add up and can count. The others start
    /// with time constants from 1 to 1,000 symbols. Default 0.25.
    pub counters: f64,
    /// Symbols whose outputs are averaged to a token. Default 1.
    pub window: usize,
    /// Features per token position; 0 for none. Default 64.
    pub position_dim: usize,
}

impl Default for RecurrentConfig {
    fn default() -> Self {
        Self {
            dim: 128,
            states: 128,
            layers: 2,
            counters: 0.25,
            window: 1,
            position_dim: 64,
        }
    }
}
