//! Settings of the projections inside modules.

use serde::{Deserialize, Serialize};

use super::ConfigError;

/// Which layer a projection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum ProjectionKind {
    /// The code scales the input features: `y = W (x ⊙ (1 + α · LN(W_c c))) + b`.
    #[default]
    #[serde(rename = "mod_fc")]
    ModFc,
    /// A plain linear layer; the code is ignored and all modules compute the same function.
    #[serde(rename = "fc")]
    Fc,
    /// The code scales the input features and the outputs are brought back to unit scale.
    #[serde(rename = "wmod_fc")]
    WModFc,
}

/// What the projected code of a ModFC layer goes through before the gain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ScaleNormalization {
    /// Layer norm without gain and bias, epsilon 1e-5.
    #[default]
    Ln,
    /// Scaled to length one, epsilon 1e-12.
    L2,
    /// Nothing.
    None,
    /// Logistic function.
    Sigmoid,
    /// Hyperbolic tangent.
    Tanh,
}

impl ScaleNormalization {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Ln, Self::L2, Self::None, Self::Sigmoid, Self::Tanh];
}

/// Settings of the projections of a circuit or a block.
///
/// `kind = "fc"` and `kind = "wmod_fc"` use none of the others but `weight_init_gain` for the latter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModFcConfig {
    /// Which layer: `mod_fc`, `fc` (ignores codes) or `wmod_fc`. Default `mod_fc`.
    pub kind: ProjectionKind,
    /// What `W_c c` goes through before the gain: `ln`, `l2`, `none`, `sigmoid` or `tanh`. Default `ln`.
    pub scale_normalization: ScaleNormalization,
    /// Initial gain `α` on the normalised code projection. Default 0.1.
    pub scale_gain: f64,
    /// Whether `α` is trained. Default true.
    pub learnable_scale_gain: bool,
    /// Whether one is added to the scale, so that `α = 0` means no modulation. Default true.
    pub add_one_to_scale: bool,
    /// Probability in `[0, 1)` of leaving out an entry of the modulation in training. Default 0.
    pub scale_dropout: f64,
    /// Factor on the initial values of the weight. Default 1.
    pub weight_init_gain: f64,
}

impl Default for ModFcConfig {
    fn default() -> Self {
        Self {
            kind: ProjectionKind::ModFc,
            scale_normalization: ScaleNormalization::Ln,
            scale_gain: 0.1,
            learnable_scale_gain: true,
            add_one_to_scale: true,
            scale_dropout: 0.0,
            weight_init_gain: 1.0,
        }
    }
}

impl ModFcConfig {
    /// The settings that the kind of projection looks at; the others have their defaults.
    pub(super) fn effective(&self) -> Self {
        match self.kind {
            ProjectionKind::ModFc => self.clone(),
            ProjectionKind::Fc => Self {
                kind: self.kind,
                ..Self::default()
            },
            ProjectionKind::WModFc => Self {
                kind: self.kind,
                weight_init_gain: self.weight_init_gain,
                ..Self::default()
            },
        }
    }

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
        if !(0.0..1.0).contains(&self.scale_dropout) {
            let reason = "must be at least 0 and below 1";
            return refuse("scale_dropout", self.scale_dropout, reason);
        }
        if !self.scale_gain.is_finite() {
            return refuse("scale_gain", self.scale_gain, "must be a finite number");
        }
        if !(self.weight_init_gain.is_finite() && self.weight_init_gain >= 0.0) {
            let reason = "must be a finite number of at least 0";
            return refuse("weight_init_gain", self.weight_init_gain, reason);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_by_name_and_checked() {
        let config: ModFcConfig =
            serde_json::from_str(r#"{"kind": "fc", "scale_normalization": "l2"}"#).unwrap();
        assert_eq!(config.kind, ProjectionKind::Fc);
        assert_eq!(config.scale_normalization, ScaleNormalization::L2);
        assert!(serde_json::from_str::<ModFcConfig>(r#"{"kind": "fcc"}"#).is_err());
        assert!(serde_json::from_str::<ModFcConfig>(r#"{"gain": 1}"#).is_err());
        assert!(ModFcConfig::default().check().is_ok());
        let bad = [
            ModFcConfig {
                scale_dropout: 1.0,
                ..Default::default()
            },
            ModFcConfig {
                scale_gain: f64::NAN,
                ..Default::default()
            },
            ModFcConfig {
                weight_init_gain: -1.0,
                ..Default::default()
            },
        ];
        for config in bad {
            assert!(config.check().is_err(), "{config:?}");
        }
    }
}
