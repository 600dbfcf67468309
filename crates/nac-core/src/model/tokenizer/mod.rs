//! Settings of the tokenizers, one file for each.

mod convnext;
mod embedding;
mod vectors;

use serde::{Deserialize, Serialize};

use super::InputKind;

pub use convnext::ConvNextConfig;
pub use embedding::EmbeddingConfig;
pub use vectors::{FeaturesConfig, PointsConfig};

/// The tokenizer of one input. In a file, a table with `kind = "convnext"`, `"pixels"`, `"embedding"`, `"features"` or
/// `"points"`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
#[non_exhaustive]
pub enum TokenizerConfig {
    /// Images, through the first stages of a ConvNeXt.
    ConvNext(ConvNextConfig),
    /// Images, each pixel a token.
    Pixels {},
    /// Sequences of symbols.
    Embedding(EmbeddingConfig),
    /// Feature vectors.
    Features(FeaturesConfig),
    /// Sets of points.
    Points(PointsConfig),
}

impl TokenizerConfig {
    /// The name of the kind, as in files.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::ConvNext(_) => "convnext",
            Self::Pixels {} => "pixels",
            Self::Embedding(_) => "embedding",
            Self::Features(_) => "features",
            Self::Points(_) => "points",
        }
    }

    /// Whether it makes tokens of inputs of this kind.
    #[must_use]
    pub fn reads(&self, kind: &InputKind) -> bool {
        matches!(
            (self, kind),
            (Self::ConvNext(_) | Self::Pixels {}, InputKind::Image { .. })
                | (Self::Embedding(_), InputKind::Tokens { .. })
                | (Self::Features(_), InputKind::Features { .. })
                | (Self::Points(_), InputKind::Points { .. })
        )
    }
}
