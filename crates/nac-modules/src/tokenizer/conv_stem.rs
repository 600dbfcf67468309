//! Image tokenizer for small images: 3×3 convolutions with max pooling, layer norm and GELU.
//!
//! The fixed whitening of the first layer's patches follows the networks that are trained fast on CIFAR-10 (arXiv
//! 2404.00498). Nothing in it depends on the other images of a batch.

use nac_core::model::spec::{ConvStageSpec, ConvStemSpec, WhiteningSpec};
use tch::Tensor;

use super::Tokenizer;
use crate::context::ForwardContext;
use crate::error::Result;
use crate::inputs::Inputs;
use crate::layer::{LayerNorm2d, PositionalGrid};
use crate::params::{Init, Scope};
use crate::shape;
use crate::tokens::Tokens;

/// Perhaps a fixed whitening, convolutions, perhaps a positional grid. Parameters under `whitening`, `stages` and
/// `positional_grid`.
///
/// Reads the input `image`, or that of [`reading`](Self::reading), `[batch, channels, height, width]`. The filters of the
/// whitening are random until a run sets them to the components of its training images.
#[derive(Debug)]
pub struct ConvStemTokenizer {
    whitening: Option<(Tensor, Tensor)>,
    stages: Vec<Stage>,
    grid: Option<PositionalGrid>,
    spec: ConvStemSpec,
    input: String,
}

#[derive(Debug)]
struct Stage {
    weight: Tensor,
    bias: Tensor,
    norm: LayerNorm2d,
    stride: i64,
    pool: i64,
}

impl Stage {
    fn new(scope: &mut Scope<'_>, spec: &ConvStageSpec) -> Result<Self> {
        let side = ConvStageSpec::SIDE as i64;
        let size = [spec.output as i64, spec.input as i64, side, side];
        let mut conv = scope.sub(&spec.path);
        let mut conv = conv.sub("conv");
        let start = Init::KaimingUniform { gain: 1.0 };
        Ok(Self {
            weight: conv.parameter("weight", &size, start)?,
            bias: conv.parameter("bias", &size[..1], Init::Zeros)?,
            norm: LayerNorm2d::new(scope.sub(&spec.norm.path), spec.norm.dim)?,
            stride: spec.stride as i64,
            pool: spec.pool as i64,
        })
    }

    fn run(&self, x: &Tensor) -> Result<Tensor> {
        let stride = [self.stride, self.stride];
        let bias = Some(&self.bias);
        let mut x = x.f_conv2d(&self.weight, bias, stride, [1, 1], [1, 1], 1)?;
        if self.pool > 1 {
            let side = [self.pool, self.pool];
            x = x.f_max_pool2d(side, side, [0, 0], [1, 1], false)?;
        }
        Ok(self.norm.forward(&x)?.f_gelu("none")?)
    }
}

fn whitening(scope: &mut Scope<'_>, spec: &WhiteningSpec) -> Result<(Tensor, Tensor)> {
    let size = [spec.output, spec.input, spec.side, spec.side].map(|size| size as i64);
    let mut scope = scope.sub(&spec.path);
    let weight = scope.buffer("weight", &size, Init::KaimingUniform { gain: 1.0 })?;
    Ok((weight, scope.parameter("bias", &size[..1], Init::Zeros)?))
}

impl ConvStemTokenizer {
    /// The tokenizer of `spec`.
    ///
    /// # Errors
    /// A name is taken.
    pub fn new(scope: &mut Scope<'_>, spec: &ConvStemSpec) -> Result<Self> {
        let first = spec.whitening.as_ref();
        let first = first.map(|spec| whitening(scope, spec)).transpose()?;
        let stages = spec.stages.iter().map(|stage| Stage::new(scope, stage));
        let stages = stages.collect::<Result<_>>()?;
        let grid = spec.grid.as_ref().map(|grid| {
            let [rows, columns] = grid.size;
            PositionalGrid::new(scope.sub(&grid.path), grid.dim, rows, columns)
        });
        Ok(Self {
            whitening: first,
            stages,
            grid: grid.transpose()?,
            spec: spec.clone(),
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

impl Tokenizer for ConvStemTokenizer {
    fn token_dim(&self) -> usize {
        self.spec.token_dim
    }

    fn tokenize(&self, inputs: &Inputs, ctx: &mut ForwardContext<'_>) -> Result<Tokens> {
        let image = inputs.get(&self.input)?;
        let [height, width] = self.spec.image.map(|size| Some(size as i64));
        let expected = [
            ("batch", None),
            ("channels", Some(self.spec.channels as i64)),
            ("height", height),
            ("width", width),
        ];
        shape::check("ConvStemTokenizer", &self.input, image, &expected)?;
        let mut x = image.shallow_clone();
        if let Some((weight, bias)) = &self.whitening {
            let side = weight.size()[2];
            let (before, after) = ((side - 1) / 2, side / 2);
            let x_padded = x.f_constant_pad_nd([before, after, before, after])?;
            let whitened = x_padded.f_conv2d(weight, Some(bias), [1, 1], [0, 0], [1, 1], 1)?;
            x = whitened.f_gelu("none")?;
        }
        for stage in &self.stages {
            x = stage.run(&x)?;
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
