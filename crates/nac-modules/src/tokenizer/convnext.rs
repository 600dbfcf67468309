//! Image tokenizer: the first stages of a ConvNeXt, then perhaps a learned positional grid beside the features.
//!
//! Source: ConvNeXt (arXiv 2201.03545), reference `tokenizers.py`, class `ConvNeXtImageTokenizer`. The released
//! ImageNet configuration is two stages of depths 1 and 0 and widths 96 and 192, a stem of stride 4, and a
//! 64-dimensional grid: an image of 64×64 gives 8×8 tokens of 256 features.

use tch::Tensor;

use super::{ConvNextConfig, Tokenizer};
use crate::context::ForwardContext;
use crate::error::{ModuleError, Result};
use crate::inputs::Inputs;
use crate::layer::{ConvNextBlock, DropPath, LayerNorm2d, PositionalGrid};
use crate::params::{Init, Scope};
use crate::shape;
use crate::tokens::Tokens;

/// ConvNeXt stages and a positional grid. Parameters under `backbone` and `positional_grid`.
///
/// Reads the input `image`, or that of [`reading`](Self::reading), `[batch, channels, height, width]`.
#[derive(Debug)]
pub struct ConvNextTokenizer {
    stages: Vec<Stage>,
    grid: Option<PositionalGrid>,
    channels: i64,
    stride: i64,
    token_dim: usize,
    input: String,
}

#[derive(Debug)]
struct Stage {
    norm_first: bool,
    norm: LayerNorm2d,
    weight: Tensor,
    bias: Tensor,
    patch: i64,
    blocks: Vec<ConvNextBlock>,
}

impl Stage {
    fn new(
        root: &mut Scope<'_>,
        index: usize,
        in_dim: usize,
        dim: usize,
        depth: usize,
        config: &ConvNextConfig,
    ) -> Result<Self> {
        let norm_first = index > 0;
        let (conv_at, norm_at) = if norm_first { (1, 0) } else { (0, 1) };
        let patch = shape::positive("stem_patch", if norm_first { 2 } else { config.stem_patch })?;
        let mut scope = root.sub(format!("downsample_layers.{index}"));
        let norm = LayerNorm2d::new(scope.sub(norm_at), if norm_first { in_dim } else { dim })?;
        let size = [
            shape::positive("dims", dim)?,
            shape::positive("channels", in_dim)?,
            patch,
            patch,
        ];
        let weight =
            scope
                .sub(conv_at)
                .parameter("weight", &size, Init::TruncatedNormal { std: 0.02 })?;
        let bias = scope
            .sub(conv_at)
            .parameter("bias", &[size[0]], Init::Zeros)?;
        let blocks = (0..depth)
            .map(|block| {
                let scope = root.sub(format!("stages.{index}.{block}"));
                let drop_path = DropPath::new(scope.path().to_owned(), 0.0)?;
                ConvNextBlock::new(scope, dim, config.layer_scale, drop_path)
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            norm_first,
            norm,
            weight,
            bias,
            patch,
            blocks,
        })
    }

    fn run(&self, x: &Tensor, ctx: &mut ForwardContext<'_>) -> Result<Tensor> {
        let x = if self.norm_first {
            self.norm.forward(x)?
        } else {
            x.shallow_clone()
        };
        let stride = [self.patch, self.patch];
        let mut x = x.conv2d(&self.weight, Some(&self.bias), stride, [0, 0], [1, 1], 1);
        if !self.norm_first {
            x = self.norm.forward(&x)?;
        }
        for block in &self.blocks {
            x = block.forward(&x, ctx)?;
        }
        Ok(x)
    }
}

impl ConvNextTokenizer {
    /// A tokenizer for images of `channels × height × width`.
    ///
    /// # Errors
    /// Depths and widths differ in number, an image is smaller than one token, or a name is taken.
    pub fn new(
        mut scope: Scope<'_>,
        channels: usize,
        height: usize,
        width: usize,
        config: &ConvNextConfig,
    ) -> Result<Self> {
        let stride = config.stride(height, width)?;
        let mut backbone = scope.sub("backbone");
        let mut in_dim = channels;
        let mut stages = Vec::with_capacity(config.dims.len());
        for (index, (&dim, &depth)) in config.dims.iter().zip(&config.depths).enumerate() {
            stages.push(Stage::new(
                &mut backbone,
                index,
                in_dim,
                dim,
                depth,
                config,
            )?);
            in_dim = dim;
        }
        let [rows, columns] = config
            .grid_size
            .unwrap_or([height / stride, width / stride]);
        let grid = (config.grid_dim > 0)
            .then(|| {
                let scope = scope.sub("positional_grid");
                PositionalGrid::new(scope, config.grid_dim, rows, columns)
            })
            .transpose()?;
        Ok(Self {
            stages,
            grid,
            channels: shape::positive("channels", channels)?,
            stride: shape::positive("stride", stride)?,
            token_dim: in_dim + config.grid_dim,
            input: "image".into(),
        })
    }

    /// Reads an input of another name.
    #[must_use]
    pub fn reading(mut self, input: impl Into<String>) -> Self {
        self.input = input.into();
        self
    }
}

impl Tokenizer for ConvNextTokenizer {
    fn token_dim(&self) -> usize {
        self.token_dim
    }

    fn tokenize(&self, inputs: &Inputs, ctx: &mut ForwardContext<'_>) -> Result<Tokens> {
        let image = inputs.get(&self.input)?;
        let expected = [
            ("batch", None),
            ("channels", Some(self.channels)),
            ("height", None),
            ("width", None),
        ];
        shape::check("ConvNextTokenizer", &self.input, image, &expected)?;
        let size = image.size();
        if size[2] < self.stride || size[3] < self.stride {
            return Err(ModuleError::Shape {
                op: "ConvNextTokenizer",
                name: self.input.clone(),
                expected: format!("[batch, channels, height>={0}, width>={0}]", self.stride),
                found: size,
            });
        }
        let mut x = image.shallow_clone();
        for stage in &self.stages {
            x = stage.run(&x, ctx)?;
        }
        if let Some(grid) = &self.grid {
            let size = x.size();
            x = Tensor::f_cat(&[&x, &grid.forward(size[0], size[2], size[3])?], 1)?;
        }
        let tokens = x.flatten(2, 3).transpose(1, 2);
        ctx.record("tokens", &tokens);
        Tokens::new(tokens)
    }
}
