//! Settings of the stem-only baseline.

use serde::{Deserialize, Serialize};

/// Mean of the tokens, perhaps a layer norm, linear head: what the tokenizer alone can do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StemOnlyConfig {
    /// Whether there is a layer norm between the mean and the head. Default true.
    pub layer_norm: bool,
}

impl Default for StemOnlyConfig {
    fn default() -> Self {
        Self { layer_norm: true }
    }
}
