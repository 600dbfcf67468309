//! Settings of the tokenizers of feature vectors and points.

use serde::{Deserialize, Serialize};

/// Settings of the tokenizer of feature vectors: a linear layer beside a learned vector for each position.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FeaturesConfig {
    /// Outputs of the linear layer. Default 192.
    pub dim: usize,
    /// Features per position; 0 for vectors without order. Default 64.
    pub position_dim: usize,
}

impl Default for FeaturesConfig {
    fn default() -> Self {
        Self {
            dim: 192,
            position_dim: 64,
        }
    }
}

/// Settings of the tokenizer of points: a linear layer on Fourier features of the coordinates.
///
/// A coordinate `x` becomes `x`, and `sin(2^k π x)` and `cos(2^k π x)` for each `k` below the number of bands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PointsConfig {
    /// Outputs of the linear layer. Default 256.
    pub dim: usize,
    /// Frequencies, each twice the one before. Default 6.
    pub bands: usize,
}

impl Default for PointsConfig {
    fn default() -> Self {
        Self { dim: 256, bands: 6 }
    }
}
