//! Resolved tokenizers.

use serde::Serialize;

use super::layer::{LinearSpec, NormSpec, positive};
use super::node::{Node, OwnTensor, join, trained};
use crate::model::{ConfigError, ConvNextConfig, EmbeddingConfig, InputKind, TokenizerConfig};

/// A convolution whose stride is its size.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PatchSpec {
    /// Path of `weight`, `[output, input, side, side]`, and `bias`, `[output]`.
    pub path: String,
    /// Channels read.
    pub input: usize,
    /// Channels written.
    pub output: usize,
    /// Side of the square that becomes one cell.
    pub side: usize,
}

impl Node for PatchSpec {
    fn path(&self) -> &str {
        &self.path
    }

    fn describe(&self) -> String {
        let (input, output, side) = (self.input, self.output, self.side);
        format!("convolution {input} -> {output} of {side} x {side}")
    }

    fn tensors(&self) -> Vec<OwnTensor> {
        let (output, input, side) = (self.output, self.input, self.side);
        let weight = trained("weight", &[output, input, side, side]);
        vec![weight, trained("bias", &[output])]
    }
}

/// A ConvNeXt block: depth-wise 7 × 7 convolution, norm, linear, GELU, linear, scale, residual.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ConvNextBlockSpec {
    /// Path of `dwconv`, `norm`, `pwconv1`, `pwconv2` and `gamma`.
    pub path: String,
    /// Channels.
    pub channels: usize,
    /// Norm over channels.
    pub norm: NormSpec,
    /// To the hidden layer.
    pub expand: LinearSpec,
    /// Back from it.
    pub contract: LinearSpec,
    /// Initial value of `gamma`, `[channels]`.
    pub layer_scale: f64,
    /// Probability of dropping the branch in training.
    pub drop_path: f64,
}

impl ConvNextBlockSpec {
    /// Side of the depth-wise convolution.
    pub const SIDE: usize = 7;

    fn new(path: String, channels: usize, layer_scale: f64) -> Self {
        let wide = 4 * channels;
        Self {
            channels,
            norm: NormSpec::new(join(&path, "norm"), channels),
            expand: LinearSpec::new(join(&path, "pwconv1"), channels, wide, true),
            contract: LinearSpec::new(join(&path, "pwconv2"), wide, channels, true),
            layer_scale,
            drop_path: 0.0,
            path,
        }
    }
}

impl Node for ConvNextBlockSpec {
    fn path(&self) -> &str {
        &self.path
    }

    fn describe(&self) -> String {
        format!("ConvNeXt block {}", self.channels)
    }

    fn children(&self) -> Vec<&dyn Node> {
        vec![&self.norm, &self.expand, &self.contract]
    }

    fn tensors(&self) -> Vec<OwnTensor> {
        let weight = [self.channels, 1, Self::SIDE, Self::SIDE];
        vec![
            trained("dwconv.weight", &weight),
            trained("dwconv.bias", &[self.channels]),
            trained("gamma", &[self.channels]),
        ]
    }
}

/// A stage of a ConvNeXt: a smaller map, then blocks.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ConvNextStageSpec {
    /// Path of the blocks.
    pub path: String,
    /// Convolution that makes the map smaller.
    pub patch: PatchSpec,
    /// Norm over channels.
    pub norm: NormSpec,
    /// Whether the norm comes before the convolution.
    pub norm_first: bool,
    /// Blocks in order.
    pub blocks: Vec<ConvNextBlockSpec>,
    /// Height and width of the map after the convolution.
    pub map: [usize; 2],
}

impl Node for ConvNextStageSpec {
    fn path(&self) -> &str {
        &self.path
    }

    fn describe(&self) -> String {
        format!("stage, {} x {} cells", self.map[0], self.map[1])
    }

    fn children(&self) -> Vec<&dyn Node> {
        let mut all: Vec<&dyn Node> = vec![&self.patch, &self.norm];
        all.extend(self.blocks.iter().map(|block| block as &dyn Node));
        all
    }
}

/// Learned vectors for the cells of a grid.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GridSpec {
    /// Path of `grid`, `[dim, height, width]`.
    pub path: String,
    /// Features of a cell.
    pub dim: usize,
    /// Height and width in cells.
    pub size: [usize; 2],
}

impl Node for GridSpec {
    fn path(&self) -> &str {
        &self.path
    }

    fn describe(&self) -> String {
        format!(
            "positions, {} x {} cells of {}",
            self.size[0], self.size[1], self.dim
        )
    }

    fn tensors(&self) -> Vec<OwnTensor> {
        vec![trained("grid", &[self.dim, self.size[0], self.size[1]])]
    }
}

/// The first stages of a ConvNeXt, then perhaps a positional grid beside the features.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ConvNextSpec {
    /// Path of `backbone` and `positional_grid`.
    pub path: String,
    /// Channels of an image.
    pub channels: usize,
    /// Height and width of the images that the model is made for.
    pub image: [usize; 2],
    /// Stages in order.
    pub stages: Vec<ConvNextStageSpec>,
    /// Positional grid, if any.
    pub grid: Option<GridSpec>,
    /// Side of the square of pixels that one token covers.
    pub stride: usize,
    /// Features of a token.
    pub token_dim: usize,
    /// Number of tokens of an image of the size that the model is made for.
    pub tokens: usize,
}

impl ConvNextConfig {
    /// The tokenizer with these settings at `path` for images of `[channels, height, width]`.
    ///
    /// # Errors
    /// [`ConfigError::Setting`]: depths and widths differ in number, a size is zero, or an image is smaller than
    /// one token.
    pub fn resolve(&self, path: &str, image: [usize; 3]) -> Result<ConvNextSpec, ConfigError> {
        let [channels, height, width] = image;
        let stride = self.stride(height, width)?;
        let mut input = positive("channels", channels)?;
        let mut map = [height, width];
        let mut stages = Vec::with_capacity(self.dims.len());
        for (index, (&dim, &depth)) in self.dims.iter().zip(&self.depths).enumerate() {
            let output = positive("dims", dim)?;
            let norm_first = index > 0;
            let side = if norm_first { 2 } else { self.stem_patch };
            let [conv_at, norm_at] = if norm_first { [1, 0] } else { [0, 1] };
            map = map.map(|size| size / side);
            let down = join(path, &format!("backbone.downsample_layers.{index}"));
            let stage = join(path, &format!("backbone.stages.{index}"));
            let block = |at: usize| {
                let path = join(&stage, &at.to_string());
                ConvNextBlockSpec::new(path, output, self.layer_scale)
            };
            let normed = if norm_first { input } else { output };
            stages.push(ConvNextStageSpec {
                patch: PatchSpec {
                    path: join(&down, &conv_at.to_string()),
                    input,
                    output,
                    side,
                },
                norm: NormSpec::new(join(&down, &norm_at.to_string()), normed),
                norm_first,
                blocks: (0..depth).map(block).collect(),
                map,
                path: stage,
            });
            input = output;
        }
        let grid = GridSpec {
            path: join(path, "positional_grid"),
            dim: self.grid_dim,
            size: self.grid_size.unwrap_or([height / stride, width / stride]),
        };
        Ok(ConvNextSpec {
            path: path.to_owned(),
            channels,
            image: [height, width],
            stages,
            grid: (self.grid_dim > 0).then_some(grid),
            stride,
            token_dim: input + self.grid_dim,
            tokens: map[0] * map[1],
        })
    }
}

impl Node for ConvNextSpec {
    fn path(&self) -> &str {
        &self.path
    }

    fn describe(&self) -> String {
        format!("ConvNeXt, {} tokens of {}", self.tokens, self.token_dim)
    }

    fn children(&self) -> Vec<&dyn Node> {
        let mut all: Vec<&dyn Node> = Vec::new();
        all.extend(self.stages.iter().map(|stage| stage as &dyn Node));
        all.extend(self.grid.as_ref().map(|grid| grid as &dyn Node));
        all
    }
}

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
            (TokenizerConfig::Features(config), &InputKind::Features { items, dim }) => {
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
