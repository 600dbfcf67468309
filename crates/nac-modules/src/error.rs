//! What can go wrong while building or running a module.

use std::path::PathBuf;

use nac_core::{ConfigError, CoreError};

/// Error of every fallible function of this crate.
#[derive(Debug, thiserror::Error)]
pub enum ModuleError {
    /// An operand has the wrong shape.
    #[error("{op}: `{name}` must have shape {expected}, found {found:?}")]
    Shape {
        /// Operation that refused the operand.
        op: &'static str,
        /// Name of the operand.
        name: String,
        /// Expected shape in words, such as `[batch, modules, 384]`.
        expected: String,
        /// Shape that was passed.
        found: Vec<i64>,
    },
    /// A setting has a value that makes no sense.
    #[error("{name} = {value}: {reason}")]
    Setting {
        /// Name of the setting, as in the configuration.
        name: String,
        /// Offending value.
        value: String,
        /// Why it is refused.
        reason: String,
    },
    /// A model input the tokenizer needs was not passed.
    #[error("model input `{name}` is missing; present: {present:?}")]
    MissingInput {
        /// Name that was looked up.
        name: String,
        /// Names that were passed.
        present: Vec<String>,
    },
    /// A model input is not what the model reads.
    #[error("model input `{name}`: expected {expected}, found {found}")]
    Input {
        /// Name of the input.
        name: String,
        /// Expected type and shape in words.
        expected: String,
        /// What was passed.
        found: String,
    },
    /// Two parameters ask for one name.
    #[error("parameter name `{name}` is used twice")]
    DuplicateParameter {
        /// Full dotted path.
        name: String,
    },
    /// A set of weights does not fit a model. All mismatches are listed at once.
    #[error("{}", describe_mismatch(.source_name, .missing, .unexpected, .misshaped))]
    Weights {
        /// Where the weights come from.
        source_name: String,
        /// Names the model has and the weights lack.
        missing: Vec<String>,
        /// Names the weights have and the model lacks.
        unexpected: Vec<String>,
        /// `name: expected [..], found [..]`.
        misshaped: Vec<String>,
    },
    /// A weight file cannot be read or written.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Kernel math refused its input.
    #[error(transparent)]
    Core(CoreError),
    /// A block on nac-engine's kernels refused its operands, or its threads could not be started.
    #[error(transparent)]
    Engine(#[from] nac_engine::EngineError),
    /// A file of settings cannot be used.
    #[error(transparent)]
    Config(ConfigError),
    /// libtorch reported an error.
    #[error("libtorch: {0}")]
    Torch(#[from] tch::TchError),
    /// The requested device cannot be used.
    #[error("device `{device}` cannot be used: {reason}")]
    Device {
        /// Device as asked for.
        device: String,
        /// Why, and what to do.
        reason: String,
    },
}

impl From<ConfigError> for ModuleError {
    fn from(error: ConfigError) -> Self {
        match error {
            ConfigError::Setting {
                name,
                value,
                reason,
            } => Self::Setting {
                name,
                value,
                reason,
            },
            other => Self::Config(other),
        }
    }
}

impl From<CoreError> for ModuleError {
    fn from(error: CoreError) -> Self {
        match error {
            CoreError::Config(error) => error.into(),
            other => Self::Core(other),
        }
    }
}

/// Result of this crate.
pub type Result<T> = std::result::Result<T, ModuleError>;

fn describe_mismatch(
    source: &str,
    missing: &[String],
    unexpected: &[String],
    misshaped: &[String],
) -> String {
    let mut text = format!("weights from {source} do not fit the model");
    for (what, names) in [
        ("missing", missing),
        ("unexpected", unexpected),
        ("wrong shape", misshaped),
    ] {
        if !names.is_empty() {
            text.push_str(&format!(
                "\n  {what} ({}): {}",
                names.len(),
                names.join(", ")
            ));
        }
    }
    if let Some(prefix) = extra_prefix(missing, unexpected) {
        text.push_str(&format!(
            "\n  The names are those of the model behind the prefix `{prefix}`; \
             `nac weights convert` takes it off with --strip-prefix {prefix}"
        ));
    }
    text
}

/// What stands before the missing names, if most of the unexpected names are missing names behind it.
fn extra_prefix<'a>(missing: &[String], unexpected: &'a [String]) -> Option<&'a str> {
    let names: std::collections::BTreeSet<&str> = missing.iter().map(String::as_str).collect();
    let prefix_of = |name: &'a str| {
        let dots = name.match_indices('.').map(|(at, _)| at + 1);
        dots.map(|at| name.split_at(at))
            .find(|(_, rest)| names.contains(rest))
            .map(|(prefix, _)| prefix)
    };
    let prefix = unexpected.iter().find_map(|name| prefix_of(name))?;
    let behind = |name: &&String| {
        name.strip_prefix(prefix)
            .is_some_and(|rest| names.contains(rest))
    };
    (2 * unexpected.iter().filter(behind).count() > unexpected.len()).then_some(prefix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_settings_are_settings_here_too() {
        let refused = ConfigError::Setting {
            name: "circuit.propagators".into(),
            value: "0".into(),
            reason: "must be at least 1".into(),
        };
        let text = refused.to_string();
        for error in [
            ModuleError::from(refused.clone()),
            CoreError::from(refused).into(),
        ] {
            assert!(matches!(error, ModuleError::Setting { .. }), "{error}");
            assert_eq!(error.to_string(), text);
        }
    }

    #[test]
    fn a_prefix_before_all_names_is_told() {
        let weights = |missing: &[&str], unexpected: &[&str]| {
            let owned = |names: &[&str]| names.iter().map(ToString::to_string).collect();
            let error = ModuleError::Weights {
                source_name: "ddp.pt".into(),
                missing: owned(missing),
                unexpected: owned(unexpected),
                misshaped: Vec::new(),
            };
            error.to_string()
        };
        let text = weights(
            &["a.weight", "a.bias", "b"],
            &["module.net.a.bias", "module.net.a.weight", "n_averaged"],
        );
        assert!(text.contains("--strip-prefix module.net."), "{text}");
        let text = weights(&["a.weight", "a.bias"], &["c.weight", "d.e"]);
        assert!(!text.contains("prefix"), "{text}");
    }

    #[test]
    fn weight_mismatch_lists_all_three_kinds() {
        let error = ModuleError::Weights {
            source_name: "last.safetensors".into(),
            missing: vec!["a.b".into()],
            unexpected: vec!["c".into(), "d".into()],
            misshaped: vec!["e: expected [2], found [3]".into()],
        };
        let text = error.to_string();
        assert!(text.contains("missing (1): a.b"));
        assert!(text.contains("unexpected (2): c, d"));
        assert!(text.contains("wrong shape (1): e: expected [2], found [3]"));
    }
}
