//! Settings of the tokenizers, one file for each.

mod conv_sequence;
mod conv_stem;
mod convnext;
mod embedding;
mod ngrams;
mod patches;
mod recurrent;
mod vectors;

use serde::{Deserialize, Serialize};

use super::InputKind;

pub use conv_sequence::ConvSequenceConfig;
pub use conv_stem::ConvStemConfig;
pub use convnext::ConvNextConfig;
pub use embedding::EmbeddingConfig;
pub use ngrams::{NgramPooling, NgramsConfig};
pub use patches::{PatchesConfig, VoxelsConfig};
pub use recurrent::RecurrentConfig;
pub use vectors::{FeaturesConfig, PointsConfig};

/// The tokenizer of one input. In a file, a table with `kind`, for example `kind = "patches"`, and its settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
#[non_exhaustive]
pub enum TokenizerConfig {
    /// Images, through the first stages of a ConvNeXt.
    ConvNext(ConvNextConfig),
    /// Small images, through 3×3 convolutions.
    #[serde(rename = "conv-stem")]
    ConvStem(ConvStemConfig),
    /// Images, each pixel a token.
    Pixels {},
    /// Images, cut into patches.
    Patches(PatchesConfig),
    /// Voxels, cut into cubes.
    Voxels(VoxelsConfig),
    /// Sequences of symbols, each a token.
    Embedding(EmbeddingConfig),
    /// Sequences of symbols, through strided convolutions.
    #[serde(rename = "conv-sequence")]
    ConvSequence(ConvSequenceConfig),
    /// Sequences of symbols, as hashed n-grams.
    Ngrams(NgramsConfig),
    /// Sequences of symbols, through linear recurrences.
    Recurrent(RecurrentConfig),
    /// Feature vectors.
    Features(FeaturesConfig),
    /// Sets of points.
    Points(PointsConfig),
    /// The tokenizer of another input of the same form, parameters and all.
    Shared {
        /// Name of the other input.
        with: String,
    },
}

impl TokenizerConfig {
    /// The name of the kind, as in files.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::ConvNext(_) => "convnext",
            Self::ConvStem(_) => "conv-stem",
            Self::Pixels {} => "pixels",
            Self::Patches(_) => "patches",
            Self::Voxels(_) => "voxels",
            Self::Shared { .. } => "shared",
            Self::Embedding(_) => "embedding",
            Self::ConvSequence(_) => "conv-sequence",
            Self::Ngrams(_) => "ngrams",
            Self::Recurrent(_) => "recurrent",
            Self::Features(_) => "features",
            Self::Points(_) => "points",
        }
    }

    /// Whether it makes tokens of inputs of this kind.
    #[must_use]
    pub fn reads(&self, kind: &InputKind) -> bool {
        matches!(
            (self, kind),
            (Self::Shared { .. }, _)
                | (
                    Self::ConvNext(_) | Self::ConvStem(_) | Self::Pixels {} | Self::Patches(_),
                    InputKind::Image { .. }
                )
                | (Self::Voxels(_), InputKind::Voxels { .. })
                | (
                    Self::Embedding(_)
                        | Self::ConvSequence(_)
                        | Self::Ngrams(_)
                        | Self::Recurrent(_),
                    InputKind::Tokens { .. }
                )
                | (Self::Features(_), InputKind::Features { .. })
                | (Self::Points(_), InputKind::Points { .. })
        )
    }
}
