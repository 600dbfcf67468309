//! Resolved tokenizers, one file for each.

mod conv_sequence;
mod conv_stem;
mod convnext;
mod embedding;
mod ngrams;
mod patches;
mod pixels;
mod recurrent;
mod symbols;
mod vectors;

use serde::Serialize;

use super::layer::positive;
use super::node::{Node, OwnTensor};
use crate::model::{ConfigError, InputKind, TokenizerConfig};

pub use conv_sequence::{ConvSequenceSpec, SequenceConvSpec};
pub use conv_stem::{ConvStageSpec, ConvStemSpec, WhiteningSpec};
pub use convnext::{ConvNextBlockSpec, ConvNextSpec, ConvNextStageSpec, GridSpec, PatchSpec};
pub use embedding::EmbeddingSpec;
pub use ngrams::NgramsSpec;
pub use patches::PatchesSpec;
pub use pixels::PixelsSpec;
pub use recurrent::{RecurrenceSpec, RecurrentSpec};
pub use symbols::SymbolsSpec;
pub use vectors::VectorsSpec;

/// From an input to tokens.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum TokenizerSpec {
    /// Images, through the first stages of a ConvNeXt.
    ConvNext(ConvNextSpec),
    /// Small images, through 3×3 convolutions.
    ConvStem(ConvStemSpec),
    /// Images, each pixel a token.
    Pixels(PixelsSpec),
    /// Images or voxels, cut into patches.
    Patches(PatchesSpec),
    /// Sequences of symbols, each a token.
    Embedding(EmbeddingSpec),
    /// Sequences of symbols, through strided convolutions.
    ConvSequence(ConvSequenceSpec),
    /// Sequences of symbols, as hashed n-grams.
    Ngrams(NgramsSpec),
    /// Sequences of symbols, through linear recurrences.
    Recurrent(RecurrentSpec),
    /// Feature vectors, or points.
    Vectors(VectorsSpec),
}

impl TokenizerSpec {
    /// The tokenizer with these settings at `path` for inputs of a kind that it reads.
    ///
    /// # Errors
    /// [`ConfigError::Setting`] if a setting is out of range or does not suit the input.
    pub(super) fn new(
        path: &str,
        config: &TokenizerConfig,
        kind: &InputKind,
    ) -> Result<Self, ConfigError> {
        use TokenizerConfig as By;
        Ok(match *kind {
            InputKind::Image {
                channels,
                height,
                width,
                ..
            } => match config {
                By::ConvNext(config) => Self::ConvNext(
                    config
                        .resolve(path, [channels, height, width])
                        .map_err(|error| error.within("convnext"))?,
                ),
                By::ConvStem(config) => Self::ConvStem(
                    config
                        .resolve(path, [channels, height, width])
                        .map_err(|error| error.within("conv_stem"))?,
                ),
                By::Pixels {} => Self::Pixels(PixelsSpec {
                    path: path.to_owned(),
                    channels: positive("channels", channels)?,
                    image: [height, width],
                }),
                By::Patches(config) => Self::Patches(
                    config
                        .resolve(path, [channels, height, width])
                        .map_err(|error| error.within("patches"))?,
                ),
                _ => return unread(config, kind),
            },
            InputKind::Tokens {
                vocabulary,
                max_len,
                pad,
            } => Self::of_symbols(path, config, kind, (vocabulary, max_len, pad))?,
            InputKind::Features { items, dim, padded } => match config {
                By::Features(config) => Self::Vectors(
                    config
                        .resolve(path, (items, dim), padded)
                        .map_err(|error| error.within("features"))?,
                ),
                _ => return unread(config, kind),
            },
            InputKind::Points { points, dims } => match config {
                By::Points(config) => Self::Vectors(
                    config
                        .resolve(path, (points, dims))
                        .map_err(|error| error.within("points"))?,
                ),
                _ => return unread(config, kind),
            },
            InputKind::Voxels { size } => match config {
                By::Voxels(config) => Self::Patches(
                    config
                        .resolve(path, size)
                        .map_err(|error| error.within("voxels"))?,
                ),
                _ => return unread(config, kind),
            },
        })
    }

    /// A tokenizer of symbols: vocabulary, greatest length, padding symbol.
    fn of_symbols(
        path: &str,
        config: &TokenizerConfig,
        kind: &InputKind,
        symbols: (usize, usize, i64),
    ) -> Result<Self, ConfigError> {
        use TokenizerConfig as By;
        Ok(match config {
            By::Embedding(config) => Self::Embedding(
                config
                    .resolve(path, symbols)
                    .map_err(|error| error.within("embedding"))?,
            ),
            By::ConvSequence(config) => Self::ConvSequence(
                config
                    .resolve(path, symbols)
                    .map_err(|error| error.within("conv_sequence"))?,
            ),
            By::Ngrams(config) => Self::Ngrams(
                config
                    .resolve(path, symbols)
                    .map_err(|error| error.within("ngrams"))?,
            ),
            By::Recurrent(config) => Self::Recurrent(
                config
                    .resolve(path, symbols)
                    .map_err(|error| error.within("recurrent"))?,
            ),
            _ => return unread(config, kind),
        })
    }

    /// The box of the tokenizer.
    fn node(&self) -> &dyn Node {
        match self {
            Self::ConvNext(spec) => spec,
            Self::ConvStem(spec) => spec,
            Self::Pixels(spec) => spec,
            Self::Patches(spec) => spec,
            Self::Embedding(spec) => spec,
            Self::ConvSequence(spec) => spec,
            Self::Ngrams(spec) => spec,
            Self::Recurrent(spec) => spec,
            Self::Vectors(spec) => spec,
        }
    }

    /// Features of a token.
    #[must_use]
    pub fn token_dim(&self) -> usize {
        match self {
            Self::ConvNext(spec) => spec.token_dim,
            Self::ConvStem(spec) => spec.token_dim,
            Self::Pixels(spec) => spec.channels,
            Self::Patches(spec) => spec.token_dim(),
            Self::Embedding(spec) => spec.token_dim(),
            Self::ConvSequence(spec) => spec.token_dim(),
            Self::Ngrams(spec) => spec.token_dim(),
            Self::Recurrent(spec) => spec.token_dim(),
            Self::Vectors(spec) => spec.token_dim(),
        }
    }

    /// Number of tokens of an input of the size that the model is made for, the longest if that varies.
    #[must_use]
    pub fn tokens(&self) -> usize {
        match self {
            Self::ConvNext(spec) => spec.tokens,
            Self::ConvStem(spec) => spec.tokens,
            Self::Pixels(spec) => spec.tokens(),
            Self::Patches(spec) => spec.tokens(),
            Self::Embedding(spec) => spec.max_len,
            Self::ConvSequence(spec) => spec.tokens(),
            Self::Ngrams(spec) => spec.tokens(),
            Self::Recurrent(spec) => spec.tokens(),
            Self::Vectors(spec) => spec.items,
        }
    }
}

fn unread<T>(config: &TokenizerConfig, kind: &InputKind) -> Result<T, ConfigError> {
    Err(ConfigError::Setting {
        name: "model.tokenizers".into(),
        value: config.name().into(),
        reason: format!("does not read inputs of kind `{}`", kind.name()),
    })
}

impl Node for TokenizerSpec {
    fn path(&self) -> &str {
        self.node().path()
    }

    fn describe(&self) -> String {
        self.node().describe()
    }

    fn children(&self) -> Vec<&dyn Node> {
        self.node().children()
    }

    fn tensors(&self) -> Vec<OwnTensor> {
        self.node().tensors()
    }
}
