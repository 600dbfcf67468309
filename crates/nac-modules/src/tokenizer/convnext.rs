//! Image tokenizer: the first stages of a ConvNeXt, then perhaps a learned positional grid beside the features.
//!
//! Source: ConvNeXt (arXiv 2201.03545), reference `tokenizers.py`, class `ConvNeXtImageTokenizer`. The released
//! ImageNet configuration is two stages of depths 1 and 0 and widths 96 and 192, a stem of stride 4, and a
//! 64-dimensional grid: an image of 64×64 gives 8×8 tokens of 256 features.

use nac_core::model::spec::{ConvNextBlockSpec, ConvNextSpec, ConvNextStageSpec};
use tch::Tensor;

use super::Tokenizer;
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
    fn new(scope: &mut Scope<'_>, spec: &ConvNextStageSpec) -> Result<Self> {
        let patch = &spec.patch;
        let side = shape::positive("stem_patch", patch.side)?;
        let size = [
            shape::positive("dims", patch.output)?,
            shape::positive("channels", patch.input)?,
            side,
            side,
        ];
        let start = Init::TruncatedNormal { std: 0.02 };
        let norm = LayerNorm2d::new(scope.sub(&spec.norm.path), spec.norm.dim)?;
        let weight = scope.sub(&patch.path).parameter("weight", &size, start)?;
        let bias = scope
            .sub(&patch.path)
            .parameter("bias", &[size[0]], Init::Zeros)?;
        let block = |spec: &ConvNextBlockSpec| {
            let scope = scope.sub(&spec.path);
            let drop_path = DropPath::new(scope.path().to_owned(), spec.drop_path)?;
            ConvNextBlock::new(scope, spec.channels, spec.layer_scale, drop_path)
        };
        Ok(Self {
            blocks: spec.blocks.iter().map(block).collect::<Result<_>>()?,
            norm_first: spec.norm_first,
            norm,
            weight,
            bias,
            patch: side,
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
    /// The tokenizer of `spec`.
    ///
    /// # Errors
    /// A size is zero or a name is taken.
    pub fn new(scope: &mut Scope<'_>, spec: &ConvNextSpec) -> Result<Self> {
        let stages = spec.stages.iter().map(|stage| Stage::new(scope, stage));
        let stages = stages.collect::<Result<_>>()?;
        let grid = spec.grid.as_ref().map(|grid| {
            let [rows, columns] = grid.size;
            PositionalGrid::new(scope.sub(&grid.path), grid.dim, rows, columns)
        });
        Ok(Self {
            stages,
            grid: grid.transpose()?,
            channels: shape::positive("channels", spec.channels)?,
            stride: shape::positive("stride", spec.stride)?,
            token_dim: spec.token_dim,
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
