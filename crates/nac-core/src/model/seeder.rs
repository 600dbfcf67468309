//! Settings of the initial states of modules.

use serde::{Deserialize, Serialize};

use super::ConfigError;

/// Where the mean of the initial states comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StateMean {
    /// The code is the state; both have the same dimension.
    #[default]
    Code,
    /// A linear layer on the normalised code.
    Projection,
    /// States are separate parameters (`initial_states_`), without noise.
    Learned,
}

/// Settings of the initial states.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SeederConfig {
    /// Mean of the initial states: `code`, `projection` or `learned`. Default `code`.
    /// Reference: `use_code_as_mean_state`, and `learned` if not `use_latent_seeder`.
    pub mean: StateMean,
    /// Whether noise of a learned scale is added in training; needs `mean = "projection"`. Default false.
    /// Reference: `use_state_noise`.
    pub state_noise: bool,
    /// Whether state noise is added in evaluation too, as the reference does. Default false.
    pub noise_in_evaluation: bool,
    /// Noise on codes in training, as a share `a` of each entry. Default 0.
    /// Reference: `code_noise_scale` of the seeder; that of the circuit if `use_code_noise_in_latent_seeder`.
    pub code_noise: f64,
}

impl SeederConfig {
    /// Refuses combinations that make no sense, for states of `state_dim` and codes of `code_dim`.
    ///
    /// # Errors
    /// [`ConfigError::Setting`] with the first such combination.
    pub fn check(&self, state_dim: usize, code_dim: usize) -> Result<(), ConfigError> {
        let refuse = |name: &str, value: String, reason: &str| {
            Err(ConfigError::Setting {
                name: format!("seeder.{name}"),
                value,
                reason: reason.into(),
            })
        };
        if self.mean == StateMean::Code && state_dim != code_dim {
            let reason = "needs codes and states of the same dimension";
            return refuse("mean", "code".into(), reason);
        }
        if self.state_noise && self.mean != StateMean::Projection {
            return refuse("state_noise", "true".into(), "needs mean = \"projection\"");
        }
        if !(self.code_noise.is_finite() && self.code_noise >= 0.0) {
            let reason = "must be a finite number of at least 0";
            return refuse("code_noise", self.code_noise.to_string(), reason);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_settings_are_refused() {
        let refused = |config: SeederConfig, word: &str| {
            let error = config.check(4, 5).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        };
        refused(SeederConfig::default(), "seeder.mean");
        let config = |mean, state_noise, code_noise| SeederConfig {
            mean,
            state_noise,
            code_noise,
            ..Default::default()
        };
        refused(config(StateMean::Learned, true, 0.0), "seeder.state_noise");
        refused(config(StateMean::Learned, false, -1.0), "seeder.code_noise");
        config(StateMean::Projection, true, 0.5)
            .check(4, 5)
            .unwrap();
        SeederConfig::default().check(5, 5).unwrap();
    }
}
