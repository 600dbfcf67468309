//! Settings of the head.

use serde::{Deserialize, Serialize};

use super::ConfigError;

/// Which head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeadKind {
    /// Confidence-weighted pooling over all read-out modules.
    #[default]
    ConfidencePooling,
    /// The output of the first read-out module is the logits. The read-out then needs its own head
    /// (`read_out.use_head`).
    FirstSlot,
}

/// How confidences become weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PoolingSoftmax {
    /// Softmax.
    #[default]
    Vanilla,
    /// Softmax of confidences with Gumbel noise.
    Gumbel,
    /// One module, the winner with Gumbel noise; gradients are those of `gumbel`.
    GumbelHard,
}

/// Settings of the head.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HeadConfig {
    /// Which head: `confidence_pooling` or `first_slot`. Default `confidence_pooling`.
    /// Reference: `output_tokenizer_type`, `OutputLatentPooling` or `FirstSlotAsLogits`.
    pub kind: HeadKind,
    /// How confidences become weights: `vanilla`, `gumbel` or `gumbel-hard`. Default `vanilla`.
    /// Reference: `softmax_type`.
    pub softmax: PoolingSoftmax,
    /// Temperature of that softmax. Default 1. Reference: `softmax_temperature`.
    pub temperature: f64,
    /// Whether Gumbel noise is drawn in evaluation too, as the reference does. Default false.
    pub noise_in_evaluation: bool,
}

impl Default for HeadConfig {
    fn default() -> Self {
        Self {
            kind: HeadKind::ConfidencePooling,
            softmax: PoolingSoftmax::Vanilla,
            temperature: 1.0,
            noise_in_evaluation: false,
        }
    }
}

impl HeadConfig {
    /// Refuses a temperature that makes no sense.
    ///
    /// # Errors
    /// [`ConfigError::Setting`] if it is not a positive number.
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.temperature.is_finite() && self.temperature > 0.0 {
            return Ok(());
        }
        Err(ConfigError::Setting {
            name: "head.temperature".into(),
            value: self.temperature.to_string(),
            reason: "must be a positive number".into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn temperature_must_be_positive() {
        for temperature in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let config = HeadConfig {
                temperature,
                ..Default::default()
            };
            let error = config.check().unwrap_err().to_string();
            assert!(error.contains("head.temperature"), "{error}");
        }
        HeadConfig::default().check().unwrap();
    }
}
