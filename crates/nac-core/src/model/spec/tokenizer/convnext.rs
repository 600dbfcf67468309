//! The resolved ConvNeXt tokenizer.

use serde::Serialize;

use crate::model::spec::layer::{LinearSpec, NormSpec, positive};
use crate::model::spec::node::{Node, OwnTensor, join, trained};
use crate::model::{ConfigError, ConvNextConfig};

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
