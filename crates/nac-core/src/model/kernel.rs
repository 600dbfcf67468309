//! Settings of the signature kernel.

use serde::{Deserialize, Serialize};

use super::ConfigError;

/// What stands in for sampled links in evaluation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EvaluationLinks {
    /// The link probabilities themselves.
    #[default]
    NoSample,
    /// Samples, as in training.
    Sample,
    /// A link where its probability is above 0.5, none elsewhere. Nothing is differentiable.
    Threshold,
}

/// How links beyond the truncation are cut. Values are equal; gradients of link probabilities may differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Truncation {
    /// The distance of a cut link becomes infinite; no gradient reaches it.
    #[default]
    Direct,
    /// The probability of a cut link is multiplied by zero; with `straight_through` it still has a
    /// gradient, so that a cut link can come back.
    Masked,
}

/// Settings of a kernel from signatures to links, `P = exp(−d/ε)` (see [`crate::kernel`]).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KernelConfig {
    /// Bandwidth `ε` of the link probability, its initial value if it is trained. Default 1.
    ///
    /// Distances lie in `[0, 2]`, so no link is less likely than `exp(−2/ε)`: 0.135 at the default.
    pub bandwidth: f64,
    /// Whether `ε` is trained. Default false.
    pub learnable_bandwidth: bool,
    /// Whether links are sampled in training. Default true.
    pub stochastic: bool,
    /// Temperature `τ` of the relaxed samples. Default 0.5.
    pub temperature: f64,
    /// Links of a stochastic kernel in evaluation: `no_sample`, `sample` or `threshold`. Default `no_sample`.
    pub evaluation: EvaluationLinks,
    /// Distance beyond which there is no link. Default none.
    ///
    /// A receiver all of whose senders are truncated receives nothing; within one set of modules it keeps its self link.
    pub truncation: Option<f64>,
    /// How links are cut: `direct` or `masked`. Default `direct`.
    pub truncation_implementation: Truncation,
    /// Whether `masked` truncation passes gradients to cut links. Default true.
    pub straight_through: bool,
    /// Whether self links are removed; needs as many receivers as senders. Default false.
    pub eliminate_diagonal: bool,
}

impl Default for KernelConfig {
    fn default() -> Self {
        Self {
            bandwidth: 1.0,
            learnable_bandwidth: false,
            stochastic: true,
            temperature: 0.5,
            evaluation: EvaluationLinks::NoSample,
            truncation: None,
            truncation_implementation: Truncation::Direct,
            straight_through: true,
            eliminate_diagonal: false,
        }
    }
}

impl KernelConfig {
    /// Refuses values that make no sense.
    ///
    /// # Errors
    /// [`ConfigError::Setting`] with the first such value.
    pub fn check(&self) -> Result<(), ConfigError> {
        let refuse = |name: &str, value: f64, reason: &str| {
            Err(ConfigError::Setting {
                name: name.into(),
                value: value.to_string(),
                reason: reason.into(),
            })
        };
        for (name, value) in [
            ("bandwidth", self.bandwidth),
            ("temperature", self.temperature),
        ] {
            if !(value.is_finite() && value > 0.0) {
                return refuse(name, value, "must be a positive number");
            }
        }
        match self.truncation {
            Some(value) if !(value.is_finite() && value >= 0.0) => {
                refuse("truncation", value, "must be a finite number of at least 0")
            }
            _ => Ok(()),
        }
    }

    /// Whether a receiver may be left without any link.
    pub fn may_cut(&self) -> bool {
        self.truncation.is_some() || self.eliminate_diagonal || self.thresholds()
    }

    fn thresholds(&self) -> bool {
        self.stochastic && self.evaluation == EvaluationLinks::Threshold
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_values_are_named() {
        let bad = [
            (
                KernelConfig {
                    bandwidth: 0.0,
                    ..Default::default()
                },
                "bandwidth",
            ),
            (
                KernelConfig {
                    temperature: f64::NAN,
                    ..Default::default()
                },
                "temperature",
            ),
            (
                KernelConfig {
                    truncation: Some(-0.1),
                    ..Default::default()
                },
                "truncation",
            ),
        ];
        for (config, name) in bad {
            let error = config.check().unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
        }
        assert!(KernelConfig::default().check().is_ok());
        assert!(serde_json::from_str::<KernelConfig>(r#"{"band": 1}"#).is_err());
        let config: KernelConfig =
            serde_json::from_str(r#"{"truncation": 0.9, "truncation_implementation": "masked"}"#)
                .unwrap();
        assert_eq!(config.truncation_implementation, Truncation::Masked);
        assert!(config.may_cut() && !KernelConfig::default().may_cut());
    }
}
