//! Settings of the read-in.

use serde::{Deserialize, Serialize};

use super::{ModFcConfig, ModFfnConfig};

/// How the read-in takes tokens up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReadInKind {
    /// Each module attends to all tokens.
    #[default]
    Attention,
    /// Module `i` takes token `i` through a projection; there must be as many tokens as modules.
    Projection,
}

/// Settings of the read-in.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReadInConfig {
    /// How tokens are taken up: `attention` or `projection`. Default `attention`.
    pub kind: ReadInKind,
    /// Attention to the tokens; of it, `projection` uses `mod_fc` alone.
    pub attention: ReadInAttentionConfig,
    /// Feed-forward block.
    pub ffn: ModFfnConfig,
    /// Probability of dropping a residual branch in training; without it, that of the circuit. Default none.
    pub drop_path: Option<f64>,
    /// Noise on codes in training, as a share `a` of each entry: `c + U(−a|c|, a|c|)`. Default 0.
    pub code_noise: f64,
}

/// Settings of read-in attention.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReadInAttentionConfig {
    /// Number of heads. Default 1.
    pub heads: usize,
    /// Features per head. Default 64.
    pub head_dim: usize,
    /// Whether the module's state is added to the result. Default true.
    pub residual: bool,
    /// Whether query, key and value projections have a bias. Default false.
    pub qkv_bias: bool,
    /// Initial value of the learned scale of the branch; without it there is no such scale. Default none.
    pub layer_scale: Option<f64>,
    /// Whether all modules share one plain key and value projection. Default false.
    pub share_key_value_projectors: bool,
    /// Settings of the projections; without them, those of the circuit. Default none.
    pub mod_fc: Option<ModFcConfig>,
}

impl Default for ReadInAttentionConfig {
    fn default() -> Self {
        Self {
            heads: 1,
            head_dim: 64,
            residual: true,
            qkv_bias: false,
            layer_scale: None,
            share_key_value_projectors: false,
            mod_fc: None,
        }
    }
}
