//! Settings of the read-out.

use serde::{Deserialize, Serialize};

use super::{ModFfnConfig, PropagatorConfig, SkmdpaConfig};

/// Settings of the read-out.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReadOutConfig {
    /// Attention to the processors; its `mod_fc` is that of the projection to the output dimension too.
    pub attention: SkmdpaConfig,
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

impl ReadOutConfig {
    /// The part that has the form of a propagator; its defaults are those of a read-out.
    pub(super) fn propagator(&self) -> PropagatorConfig {
        PropagatorConfig {
            attention: self.attention.clone(),
            ffn: self.ffn.clone(),
            drop_path: self.drop_path,
            code_noise: self.code_noise,
        }
    }
}
