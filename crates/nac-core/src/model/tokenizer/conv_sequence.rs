//! Settings of the tokenizer of sequences by strided convolutions.

use serde::{Deserialize, Serialize};

/// Settings of the convolutional sequence tokenizer: symbol embeddings through a stack of strided convolutions, beside a
/// learned vector for each token.
///
/// A sequence of `n` symbols gives `⌈n / s⌉` tokens, `s` being the product of the strides: with the defaults 4,096 bytes
/// give 256.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConvSequenceConfig {
    /// Features per symbol. Default 64.
    pub dim: usize,
    /// Outputs of each convolution; the last are the features of a token. Default `[128, 192]`.
    pub widths: Vec<usize>,
    /// Positions that an output of each convolution reads, at least its stride. Default `[8, 8]`.
    pub kernels: Vec<usize>,
    /// Positions between neighbouring outputs of each convolution. Default `[4, 4]`.
    pub strides: Vec<usize>,
    /// Whether a layer norm over the features lies between each convolution and its GELU. Default true.
    pub norm: bool,
    /// Whether a convolution of stride 1 that keeps the width is added to its input. Default true.
    pub residual: bool,
    /// Features per token position; 0 for none. Default 64.
    pub position_dim: usize,
}

impl Default for ConvSequenceConfig {
    fn default() -> Self {
        Self {
            dim: 64,
            widths: vec![128, 192],
            kernels: vec![8, 8],
            strides: vec![4, 4],
            norm: true,
            residual: true,
            position_dim: 64,
        }
    }
}
