//! Resolved tokenizers.

use serde::Serialize;

use super::convnext::ConvNextSpec;
use super::layer::{LinearSpec, positive};
use super::node::{Node, OwnTensor, join, trained};
use crate::model::{ConfigError, EmbeddingConfig, InputKind, TokenizerConfig};

/// A learned vector per symbol beside a learned vector per position.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EmbeddingSpec {
    /// Path of `embedding.weight`, `[vocabulary, dim]`, and `positions`, `[max_len, position_dim]`.
    pub path: String,
    /// Number of symbols, padding included.
    pub vocabulary: usize,
    /// Features of a symbol.
    pub dim: usize,
    /// Longest sequence.
    pub max_len: usize,
    /// Features of a position.
    pub position_dim: usize,
    /// Symbol that means padding.
    pub pad: i64,
}

impl EmbeddingConfig {
    /// The tokenizer with these settings at `path` for sequences of up to `max_len` of `vocabulary` symbols.
    ///
    /// # Errors
    /// [`ConfigError::Setting`] if a size is zero.
    pub fn resolve(
        &self,
        path: &str,
        (vocabulary, max_len, pad): (usize, usize, i64),
    ) -> Result<EmbeddingSpec, ConfigError> {
        Ok(EmbeddingSpec {
            path: path.to_owned(),
            vocabulary: positive("vocabulary", vocabulary)?,
            dim: positive("dim", self.dim)?,
            max_len: positive("max_len", max_len)?,
            position_dim: positive("position_dim", self.position_dim)?,
            pad,
        })
    }
}

impl Node for EmbeddingSpec {
    fn path(&self) -> &str {
        &self.path
    }

    fn describe(&self) -> String {
        let (symbols, length) = (self.vocabulary, self.max_len);
        format!("embedding of {symbols} symbols, up to {length} tokens")
    }

    fn tensors(&self) -> Vec<OwnTensor> {
        vec![
            trained("embedding.weight", &[self.vocabulary, self.dim]),
            trained("positions", &[self.max_len, self.position_dim]),
        ]
    }
}

/// Vectors, or Fourier features of points, through a linear layer; perhaps a learned vector per position beside them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VectorsSpec {
    /// Path of `linear` and `positions`, `[items, position_dim]`.
    pub path: String,
    /// Vectors of an example.
    pub items: usize,
    /// Numbers of a vector.
    pub dim: usize,
    /// Frequencies of the Fourier features; 0 for the numbers alone.
    pub bands: usize,
    /// To the features of a token.
    pub linear: LinearSpec,
    /// Features of a position; 0 for vectors without order.
    pub position_dim: usize,
}

impl VectorsSpec {
    /// Features of a token.
    #[must_use]
    pub fn token_dim(&self) -> usize {
        self.linear.output + self.position_dim
    }
}

impl Node for VectorsSpec {
    fn path(&self) -> &str {
        &self.path
    }

    fn describe(&self) -> String {
        format!("{} vectors of {}", self.items, self.dim)
    }

    fn children(&self) -> Vec<&dyn Node> {
        vec![&self.linear]
    }

    fn tensors(&self) -> Vec<OwnTensor> {
        let positions = trained("positions", &[self.items, self.position_dim]);
        Vec::from_iter((self.position_dim > 0).then_some(positions))
    }
}

/// From an input to tokens.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum TokenizerSpec {
    /// Images, through the first stages of a ConvNeXt.
    ConvNext(ConvNextSpec),
    /// Images, each pixel a token; no parameters.
    Pixels {
        /// Path of the tokenizer.
        path: String,
        /// Channels, which are the features of a token.
        channels: usize,
        /// Number of pixels.
        pixels: usize,
    },
    /// Sequences of symbols.
    Embedding(EmbeddingSpec),
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
        Ok(match (config, kind) {
            (
                TokenizerConfig::ConvNext(config),
                &InputKind::Image {
                    channels,
                    height,
                    width,
                    ..
                },
            ) => Self::ConvNext(config.resolve(path, [channels, height, width])?),
            (
                TokenizerConfig::Pixels {},
                InputKind::Image {
                    channels,
                    height,
                    width,
                    ..
                },
            ) => Self::Pixels {
                path: path.to_owned(),
                channels: positive("channels", *channels)?,
                pixels: height * width,
            },
            (
                TokenizerConfig::Embedding(config),
                &InputKind::Tokens {
                    vocabulary,
                    max_len,
                    pad,
                },
            ) => Self::Embedding(config.resolve(path, (vocabulary, max_len, pad))?),
            (TokenizerConfig::Features(config), &InputKind::Features { items, dim, .. }) => {
                Self::Vectors(VectorsSpec {
                    path: path.to_owned(),
                    items: positive("items", items)?,
                    dim,
                    bands: 0,
                    linear: vector_layer(path, dim, config.dim)?,
                    position_dim: config.position_dim,
                })
            }
            (TokenizerConfig::Points(config), &InputKind::Points { points, dims }) => {
                let width = dims * (1 + 2 * config.bands);
                Self::Vectors(VectorsSpec {
                    path: path.to_owned(),
                    items: positive("points", points)?,
                    dim: dims,
                    bands: config.bands,
                    linear: vector_layer(path, width, config.dim)?,
                    position_dim: 0,
                })
            }
            (config, kind) => {
                return Err(ConfigError::Setting {
                    name: "model.tokenizers".into(),
                    value: config.name().into(),
                    reason: format!("does not read inputs of kind `{}`", kind.name()),
                });
            }
        })
    }
}

fn vector_layer(path: &str, input: usize, output: usize) -> Result<LinearSpec, ConfigError> {
    let (input, output) = (positive("dim", input)?, positive("dim", output)?);
    Ok(LinearSpec::new(join(path, "linear"), input, output, true))
}

impl TokenizerSpec {
    /// Features of a token.
    pub fn token_dim(&self) -> usize {
        match self {
            Self::ConvNext(spec) => spec.token_dim,
            Self::Pixels { channels, .. } => *channels,
            Self::Embedding(spec) => spec.dim + spec.position_dim,
            Self::Vectors(spec) => spec.token_dim(),
        }
    }

    /// Number of tokens of an input of the size that the model is made for, the longest if that varies.
    pub fn tokens(&self) -> usize {
        match self {
            Self::ConvNext(spec) => spec.tokens,
            Self::Pixels { pixels, .. } => *pixels,
            Self::Embedding(spec) => spec.max_len,
            Self::Vectors(spec) => spec.items,
        }
    }
}

impl Node for TokenizerSpec {
    fn path(&self) -> &str {
        match self {
            Self::ConvNext(spec) => &spec.path,
            Self::Pixels { path, .. } => path,
            Self::Embedding(spec) => &spec.path,
            Self::Vectors(spec) => &spec.path,
        }
    }

    fn describe(&self) -> String {
        match self {
            Self::ConvNext(spec) => spec.describe(),
            Self::Pixels {
                channels, pixels, ..
            } => format!("{pixels} pixels of {channels}"),
            Self::Embedding(spec) => spec.describe(),
            Self::Vectors(spec) => spec.describe(),
        }
    }

    fn children(&self) -> Vec<&dyn Node> {
        match self {
            Self::ConvNext(spec) => spec.children(),
            Self::Vectors(spec) => spec.children(),
            Self::Pixels { .. } | Self::Embedding(_) => Vec::new(),
        }
    }

    fn tensors(&self) -> Vec<OwnTensor> {
        match self {
            Self::Embedding(spec) => spec.tensors(),
            Self::Vectors(spec) => spec.tensors(),
            Self::ConvNext(_) | Self::Pixels { .. } => Vec::new(),
        }
    }
}
