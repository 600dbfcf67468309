//! Settings of a model, as they stand in a TOML file, and what the model reads.

use serde::{Deserialize, Serialize};

use super::{CircuitConfig, ConvNextConfig, EmbeddingConfig, PerceiverIoConfig};

/// What a model reads. In a file, a table with `kind = "image"` or `kind = "tokens"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum InputSpec {
    /// Input `image`, `[batch, channels, height, width]`.
    Image {
        /// Channels.
        channels: usize,
        /// Height in pixels.
        height: usize,
        /// Width in pixels.
        width: usize,
    },
    /// Input `tokens`, `[batch, length]`.
    Tokens {
        /// Number of symbols, padding included.
        vocabulary: usize,
        /// Longest sequence.
        max_len: usize,
        /// Symbol that means padding.
        pad: i64,
    },
}

/// Which model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ModelKind {
    /// A Neural Attentive Circuit.
    #[default]
    Nac,
    /// The Perceiver IO baseline.
    PerceiverIo,
}

impl std::fmt::Display for ModelKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Nac => "nac",
            Self::PerceiverIo => "perceiver-io",
        })
    }
}

/// How images become tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ImageTokenizer {
    /// The first stages of a ConvNeXt.
    #[default]
    Convnext,
    /// Each pixel is a token.
    Pixels,
}

/// Settings of the model. Only the tables that its kind and its input need are used.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModelConfig {
    /// Which model. Default `nac`.
    pub kind: ModelKind,
    /// How images become tokens: `convnext` or `pixels`. Default `convnext`.
    pub image_tokenizer: ImageTokenizer,
    /// Tokenizer of image inputs, for `convnext`.
    pub convnext: ConvNextConfig,
    /// Tokenizer of sequence inputs.
    pub embedding: EmbeddingConfig,
    /// The circuit, for kind `nac`.
    pub circuit: CircuitConfig,
    /// The baseline, for kind `perceiver-io`.
    pub perceiver_io: PerceiverIoConfig,
}
