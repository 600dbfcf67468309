//! Ranges of all sizes of a model, checked before anything is computed from them.
//!
//! The greatest sizes are far above what has been trained anywhere, and so small that the number of parameters of a
//! model cannot overflow and a resolved model is made within moments. Whether a machine has the memory is for whoever
//! builds it.

use toml::{Table, Value};

use super::{ConfigError, ModelConfig};

/// Greatest sizes by the last word of their key; all others are widths.
const GREATEST: [(&[&str], i64); 8] = [
    (
        &["modules", "read_in_modules", "read_out_modules", "latents"],
        1 << 20,
    ),
    (&["propagators", "depth", "depths", "layers"], 1 << 12),
    (&["heads", "cross_heads", "latent_heads"], 1 << 12),
    (&["buckets", "whitening_images"], 1 << 28),
    (&["window"], 1 << 24),
    (
        &[
            "grid_size",
            "stem_patch",
            "side",
            "kernels",
            "strides",
            "pools",
        ],
        1 << 16,
    ),
    (&["ffn_multiplier", "bands", "orders"], 1 << 10),
    (&["whitening"], 1 << 8),
];
const GREATEST_WIDTH: i64 = 1 << 17;
/// Sizes that may be zero: something is then left out.
const MAY_BE_ZERO: [&str; 5] = ["depths", "grid_dim", "position_dim", "whitening", "bands"];
/// Greatest hidden width as a multiple of the states' width.
const GREATEST_FACTOR: f64 = 1024.0;

impl ModelConfig {
    /// Checks that all sizes are in their ranges, also in tables that the model does not use.
    ///
    /// # Errors
    /// [`ConfigError::Setting`] with the whole key, such as `model.circuit.state_dim`.
    pub fn check_sizes(&self) -> Result<(), ConfigError> {
        let table = Table::try_from(self).map_err(|error| ConfigError::Write {
            reason: error.to_string(),
        })?;
        check_table("model", &table)
    }
}

fn check_table(prefix: &str, table: &Table) -> Result<(), ConfigError> {
    table
        .iter()
        .try_for_each(|(key, value)| check_value(&format!("{prefix}.{key}"), key, value))
}

fn check_value(name: &str, key: &str, value: &Value) -> Result<(), ConfigError> {
    match value {
        Value::Table(inner) => check_table(name, inner),
        Value::Array(values) => values
            .iter()
            .try_for_each(|value| check_value(name, key, value)),
        Value::Integer(size) => {
            let least = i64::from(!MAY_BE_ZERO.contains(&key));
            let greatest = GREATEST
                .iter()
                .find(|(keys, _)| keys.contains(&key))
                .map_or(GREATEST_WIDTH, |&(_, greatest)| greatest);
            if *size < least {
                return refuse(name, size, format!("must be at least {least}"));
            }
            if *size > greatest {
                return refuse(name, size, format!("must be at most {greatest}"));
            }
            Ok(())
        }
        Value::Float(factor) if key == "capacity_factor" && *factor > GREATEST_FACTOR => {
            refuse(name, factor, format!("must be at most {GREATEST_FACTOR}"))
        }
        _ => Ok(()),
    }
}

fn refuse(name: &str, value: impl ToString, reason: String) -> Result<(), ConfigError> {
    Err(ConfigError::Setting {
        name: name.to_owned(),
        value: value.to_string(),
        reason,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Preset;

    #[test]
    fn presets_have_sizes_in_range() {
        for name in Preset::names() {
            Preset::get(name).unwrap().file.model.check_sizes().unwrap();
        }
    }

    #[test]
    fn the_whole_key_is_named() {
        let refused = |change: &dyn Fn(&mut ModelConfig)| {
            let mut config = ModelConfig::default();
            change(&mut config);
            config.check_sizes().unwrap_err().to_string()
        };
        for (name, error) in [
            (
                "model.circuit.modules = 100000000: must be at most 1048576",
                refused(&|c| c.circuit.modules = 100_000_000),
            ),
            (
                "model.circuit.propagators = 9223372036854775807: must be at most 4096",
                refused(&|c| c.circuit.propagators = i64::MAX as usize),
            ),
            (
                "model.circuit.state_dim = 0: must be at least 1",
                refused(&|c| c.circuit.state_dim = 0),
            ),
            (
                "model.convnext.dims = 1000000: must be at most 131072",
                refused(&|c| c.convnext.dims[1] = 1_000_000),
            ),
            (
                "model.circuit.propagator.ffn.capacity_factor = 10000: must be at most 1024",
                refused(&|c| c.circuit.propagator.ffn.capacity_factor = 1e4),
            ),
        ] {
            assert!(error.contains(name), "{error}");
        }
    }

    /// The greatest sizes together: nothing overflows.
    #[test]
    fn the_greatest_model_can_be_counted() {
        let mut config = ModelConfig::default();
        let circuit = &mut config.circuit;
        (circuit.modules, circuit.read_out_modules) = (1 << 20, 1 << 20);
        (circuit.state_dim, circuit.signature_dim) = (1 << 17, 1 << 17);
        circuit.propagators = 1 << 12;
        circuit.propagator.ffn.capacity_factor = 1024.0;
        let inputs = Preset::get("cpu-digits").unwrap().file.inputs;
        let model = config.resolve(&inputs, 1000).unwrap();
        use crate::model::spec::Node as _;
        assert!(model.parameter_count() > 1 << 53);
        let operations = model.operations(crate::model::spec::Algorithm::Reference);
        assert!(operations.training_step(1 << 20) >= operations.inference(1 << 20));
    }
}
