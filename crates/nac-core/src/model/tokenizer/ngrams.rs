//! Settings of the tokenizer of sequences by hashed n-grams.

use serde::{Deserialize, Serialize};

/// How the vectors of a window's n-grams become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, strum::Display)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum NgramPooling {
    /// Their mean.
    #[default]
    Mean,
    /// Their sum.
    Sum,
}

/// Settings of the n-gram tokenizer: every run of `n` symbols is hashed to a learned vector, and those of a window
/// become one token, beside a learned vector for its position.
///
/// A sequence of `n` symbols gives `⌈n / window⌉` tokens: with the defaults 4,096 bytes give 256. An n-gram belongs to the
/// window of its last symbol. For the hash see `NgramsSpec::bucket`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NgramsConfig {
    /// Lengths of n-grams. Default `[1, 2, 3, 4, 5]`.
    pub orders: Vec<usize>,
    /// Learned vectors for each length. Default 4096.
    pub buckets: usize,
    /// Features of a vector. Default 128.
    pub dim: usize,
    /// Symbols of a window. Default 16.
    pub window: usize,
    /// How the vectors of a window become one: `mean` or `sum`. Default `mean`.
    pub pooling: NgramPooling,
    /// Whether a layer norm follows. Default true.
    pub norm: bool,
    /// Features per token position; 0 for none. Default 64.
    pub position_dim: usize,
}

impl Default for NgramsConfig {
    fn default() -> Self {
        Self {
            orders: vec![1, 2, 3, 4, 5],
            buckets: 4096,
            dim: 128,
            window: 16,
            pooling: NgramPooling::Mean,
            norm: true,
            position_dim: 64,
        }
    }
}
