//! Settings of a propagator and of the attention between modules (SKMDPA).

use serde::{Deserialize, Serialize};

use super::{KernelConfig, ModFcConfig, ModFfnConfig};

/// Settings of a propagator.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PropagatorConfig {
    /// Attention between modules.
    pub attention: SkmdpaConfig,
    /// Feed-forward block.
    pub ffn: ModFfnConfig,
    /// Probability of dropping a residual branch in training; without it, that of the circuit. Default none.
    pub drop_path: Option<f64>,
    /// Noise on codes in training, as a share `a` of each entry: `c + U(−a|c|, a|c|)`. Default 0.
    pub code_noise: f64,
}

/// Settings of SKMDPA, in a propagator or in the read-out. What is not set has a default that depends on which.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SkmdpaConfig {
    /// Number of heads. Default 8 in a propagator, 1 in the read-out.
    pub heads: Option<usize>,
    /// Features per head. Default 64.
    pub head_dim: usize,
    /// Whether senders use the receivers' layer norm. Default true in a propagator, false in the read-out.
    pub share_layernorm: Option<bool>,
    /// Whether the receiver's state is added to the result. Default true in a propagator, false in the read-out.
    pub residual: Option<bool>,
    /// Whether query, key and value projections have a bias. Default false.
    pub qkv_bias: bool,
    /// Initial value of the learned scale of the branch; without it there is no such scale. Default none.
    pub layer_scale: Option<f64>,
    /// Whether log links are added to the scores. Default true.
    pub mask_attn_scores_with_affinities: bool,
    /// Whether attention weights are multiplied by links after the softmax. Default false.
    pub scale_attention_by_affinities_after_softmax: bool,
    /// Whether those links are first divided by their sum over senders. Default true.
    pub normalize_kernel_along_keys: bool,
    /// From signatures to links.
    pub kernel: KernelConfig,
    /// Settings of the projections; without them, those of the circuit. Default none.
    pub mod_fc: Option<ModFcConfig>,
}

impl Default for SkmdpaConfig {
    fn default() -> Self {
        Self {
            heads: None,
            head_dim: 64,
            share_layernorm: None,
            residual: None,
            qkv_bias: false,
            layer_scale: None,
            mask_attn_scores_with_affinities: true,
            scale_attention_by_affinities_after_softmax: false,
            normalize_kernel_along_keys: true,
            kernel: KernelConfig::default(),
            mod_fc: None,
        }
    }
}
