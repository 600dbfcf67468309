//! Settings of the read-out.

use serde::{Deserialize, Serialize};

use super::{KernelConfig, ModFcConfig, ModFfnConfig, PropagatorConfig, SkmdpaConfig};

/// Settings of the read-out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReadOutConfig {
    /// Number of heads. Default 1.
    pub heads: usize,
    /// Features per head. Default 64.
    pub head_dim: usize,
    /// Whether processors use the layer norm of the read-out modules. Default false.
    pub share_layernorm: bool,
    /// Whether the state of a read-out module is added to what its attention gathers. Default false.
    pub residual: bool,
    /// Whether query, key and value projections have a bias. Default false.
    pub qkv_bias: bool,
    /// Initial value of the learned scale of the attention branch; without it there is none. Default none.
    pub layer_scale: Option<f64>,
    /// Whether log links are added to the scores. Default true.
    pub mask_attn_scores_with_affinities: bool,
    /// Whether attention weights are multiplied by links after the softmax. Default false.
    pub scale_attention_by_affinities_after_softmax: bool,
    /// Whether those links are first divided by their sum over processors. Default true.
    pub normalize_kernel_along_keys: bool,
    /// From signatures to links.
    pub kernel: KernelConfig,
    /// Settings of the projections of attention and head; without them, those of the circuit. Default none.
    pub mod_fc: Option<ModFcConfig>,
    /// Feed-forward block.
    pub ffn: ModFfnConfig,
    /// Probability of dropping a residual branch in training; without it, that of the circuit. Default none.
    pub drop_path: Option<f64>,
    /// Noise on codes in training, as a share `a` of each entry: `c + U(−a|c|, a|c|)`. Default 0.
    pub code_noise: f64,
    /// Whether a projection to the output dimension follows. Default false.
    pub use_head: bool,
    /// Whether that projection has a layer norm before it. Default false.
    pub pre_output_layernorm: bool,
}

impl Default for ReadOutConfig {
    fn default() -> Self {
        Self {
            heads: 1,
            head_dim: 64,
            share_layernorm: false,
            residual: false,
            qkv_bias: false,
            layer_scale: None,
            mask_attn_scores_with_affinities: true,
            scale_attention_by_affinities_after_softmax: false,
            normalize_kernel_along_keys: true,
            kernel: KernelConfig::default(),
            mod_fc: None,
            ffn: ModFfnConfig::default(),
            drop_path: None,
            code_noise: 0.0,
            use_head: false,
            pre_output_layernorm: false,
        }
    }
}

impl ReadOutConfig {
    /// Settings of the propagator from processors to read-out modules that a read-out is, but for its head.
    pub fn propagator(&self) -> PropagatorConfig {
        PropagatorConfig {
            attention: SkmdpaConfig {
                heads: self.heads,
                head_dim: self.head_dim,
                share_layernorm: self.share_layernorm,
                residual: self.residual,
                qkv_bias: self.qkv_bias,
                layer_scale: self.layer_scale,
                mask_attn_scores_with_affinities: self.mask_attn_scores_with_affinities,
                scale_attention_by_affinities_after_softmax: self
                    .scale_attention_by_affinities_after_softmax,
                normalize_kernel_along_keys: self.normalize_kernel_along_keys,
                kernel: self.kernel.clone(),
                mod_fc: self.mod_fc.clone(),
            },
            ffn: self.ffn.clone(),
            drop_path: self.drop_path,
            code_noise: self.code_noise,
        }
    }
}
