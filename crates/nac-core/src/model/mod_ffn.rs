//! Settings of the feed-forward blocks of modules.

use serde::{Deserialize, Serialize};

use super::{ConfigError, ModFcConfig};

/// Activation between the two projections of a feed-forward block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Activation {
    /// Exact (erf) GELU.
    Gelu,
    /// First half times GELU of the second half; the first projection is twice as wide.
    Geglu,
}

impl Activation {
    /// How many times wider than the hidden layer the first projection must be.
    pub fn width_factor(self) -> usize {
        match self {
            Self::Gelu => 1,
            Self::Geglu => 2,
        }
    }
}

/// Settings of a ModFFN.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModFfnConfig {
    /// Hidden width as a multiple of the state dimension, rounded half to even. Default 4.
    pub capacity_factor: f64,
    /// Activation: `geglu` or `gelu`. Default `geglu`.
    pub activation: Activation,
    /// Initial value of the learned scale of the branch; without it there is no such scale. Default none.
    pub layer_scale: Option<f64>,
    /// Whether the states are added to the result. Default true.
    pub residual: bool,
    /// Settings of the two projections; without them, those of the circuit. Default none.
    pub mod_fc: Option<ModFcConfig>,
}

impl Default for ModFfnConfig {
    fn default() -> Self {
        Self {
            capacity_factor: 4.0,
            activation: Activation::Geglu,
            layer_scale: None,
            residual: true,
            mod_fc: None,
        }
    }
}

impl ModFfnConfig {
    /// Hidden width for a state dimension.
    ///
    /// # Errors
    /// [`ConfigError::Setting`] if the result is not a positive integer.
    pub fn hidden_dim(&self, state_dim: usize) -> Result<usize, ConfigError> {
        let width = (self.capacity_factor * state_dim as f64).round_ties_even();
        if width.is_finite() && width >= 1.0 {
            Ok(width as usize)
        } else {
            Err(ConfigError::Setting {
                name: "capacity_factor".into(),
                value: self.capacity_factor.to_string(),
                reason: format!("gives a hidden width of {width} for state dimension {state_dim}"),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_width_rounds_half_to_even() {
        let config = |capacity_factor| ModFfnConfig {
            capacity_factor,
            ..Default::default()
        };
        assert_eq!(config(4.0 / 3.0).hidden_dim(12).unwrap(), 16);
        assert_eq!(config(0.5).hidden_dim(5).unwrap(), 2);
        assert_eq!(config(1.5).hidden_dim(5).unwrap(), 8);
        assert!(config(0.0).hidden_dim(5).is_err());
        assert!(config(f64::NAN).hidden_dim(5).is_err());
    }
}
