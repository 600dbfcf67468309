//! What can go wrong while importing a configuration of the reference.

/// Error of the import; it names the option by its path, such as
/// `latent_graph_kwargs.propagator_kwargs.latent_attention_kwargs.qkv_bias`.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ReferenceError {
    /// The option or its value has no counterpart here.
    #[error("`{path}` = {value} is not supported: {reason}")]
    Unsupported {
        /// Path of the option.
        path: String,
        /// Its value as JSON.
        value: String,
        /// Why.
        reason: String,
    },
    /// The value has the wrong type.
    #[error("`{path}` = {value} must be {expected}")]
    Type {
        /// Path of the option.
        path: String,
        /// Its value as JSON.
        value: String,
        /// What it must be.
        expected: &'static str,
    },
    /// A value is out of range, or settings do not go together.
    #[error(transparent)]
    Setting(#[from] nac_core::model::ConfigError),
    /// An option without a default is absent.
    #[error("`{path}` is missing")]
    Missing {
        /// Path of the option.
        path: String,
    },
}
