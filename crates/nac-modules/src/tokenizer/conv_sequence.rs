//! Sequence tokenizer: symbol embeddings through strided convolutions.

use nac_core::model::spec::{ConvSequenceSpec, SequenceConvSpec};
use tch::{Kind, Tensor};

use super::{Tokenizer, symbols};
use crate::context::ForwardContext;
use crate::error::Result;
use crate::inputs::Inputs;
use crate::layer::LayerNorm;
use crate::params::{Init, Scope};
use crate::shape;
use crate::tokens::Tokens;

/// Embeddings and strided convolutions. Parameters `embedding.weight`, `[vocabulary, dim]`, those of each convolution
/// below `layers.i`, and `positions`, `[tokens, position_dim]`.
///
/// Reads the input `tokens`, or that of [`reading`](Self::reading), `[batch, length]`, integers. Padding is zero before
/// each convolution, and tokens of nothing but padding are masked out.
#[derive(Debug)]
pub struct ConvSequenceTokenizer {
    embedding: Tensor,
    layers: Vec<Convolution>,
    positions: Option<Tensor>,
    spec: ConvSequenceSpec,
    input: String,
}

/// One convolution, perhaps layer norm, GELU. Parameters `weight`, `[output, input, kernel]`, `bias` and `norm`.
#[derive(Debug)]
struct Convolution {
    weight: Tensor,
    bias: Tensor,
    norm: Option<LayerNorm>,
    spec: SequenceConvSpec,
}

impl Convolution {
    fn new(root: &mut Scope<'_>, spec: &SequenceConvSpec) -> Result<Self> {
        let mut scope = root.sub(&spec.path);
        let size = [
            shape::positive("widths", spec.output)?,
            shape::positive("dim", spec.input)?,
            shape::positive("kernels", spec.kernel)?,
        ];
        let weight = scope.parameter("weight", &size, Init::KaimingUniform { gain: 1.0 })?;
        let bound = 1.0 / ((spec.input * spec.kernel) as f64).sqrt();
        let bias = scope.parameter("bias", &size[..1], Init::Uniform { bound })?;
        let norm = spec.norm.as_ref();
        Ok(Self {
            weight,
            bias,
            norm: norm
                .map(|norm| LayerNorm::from_spec(root, norm))
                .transpose()?,
            spec: spec.clone(),
        })
    }

    /// # Shapes
    /// - x: `[batch, length, input]`, zero where `real` says so
    /// - real: `[batch, length]`, boolean
    /// - output: `[batch, ⌈length / stride⌉, output]` and the mask of the same positions
    fn forward(&self, x: &Tensor, real: &Tensor) -> Result<(Tensor, Tensor)> {
        let [stride, kernel, left] =
            [self.spec.stride, self.spec.kernel, self.spec.left()].map(|size| size as i64);
        let length = x.size()[1];
        let outputs = (length + stride - 1) / stride;
        let right = (outputs - 1) * stride + kernel - left - length;
        let padded = x.f_transpose(1, 2)?.f_constant_pad_nd([left, right])?;
        let y = padded.f_conv1d(&self.weight, Some(&self.bias), stride, 0, 1, 1)?;
        let mut y = y.f_transpose(1, 2)?;
        if let Some(norm) = &self.norm {
            y = norm.forward(&y.f_contiguous()?)?;
        }
        y = y.f_gelu("none")?;
        if self.spec.residual {
            y = y.f_add(x)?;
        }
        let real = symbols::any(real, stride)?;
        let kept = y.f_mul(&real.f_unsqueeze(-1)?.f_to_kind(y.kind())?)?;
        Ok((kept, real))
    }
}

impl ConvSequenceTokenizer {
    /// The tokenizer of `spec`.
    ///
    /// # Errors
    /// A size is zero or a name is taken.
    pub fn new(root: &mut Scope<'_>, spec: &ConvSequenceSpec) -> Result<Self> {
        let layers = spec.layers.iter();
        let layers = layers.map(|layer| Convolution::new(root, layer));
        let layers = layers.collect::<Result<_>>()?;
        let mut scope = root.sub(&spec.path);
        let size = [
            shape::positive("vocabulary", spec.symbols.vocabulary)?,
            shape::positive("dim", spec.dim)?,
        ];
        let start = Init::Normal { std: 1.0 };
        Ok(Self {
            embedding: scope.sub("embedding").parameter("weight", &size, start)?,
            layers,
            positions: symbols::positions(&mut scope, spec.tokens(), spec.position_dim)?,
            spec: spec.clone(),
            input: "tokens".into(),
        })
    }

    /// Reads an input of another name.
    #[must_use]
    pub fn reading(mut self, input: impl Into<String>) -> Self {
        self.input = input.into();
        self
    }
}

impl Tokenizer for ConvSequenceTokenizer {
    fn token_dim(&self) -> usize {
        self.spec.token_dim()
    }

    fn tokenize(&self, inputs: &Inputs, ctx: &mut ForwardContext<'_>) -> Result<Tokens> {
        let sizes = (self.spec.symbols.vocabulary, self.spec.symbols.max_len);
        let symbols = symbols::read("ConvSequenceTokenizer", inputs, &self.input, sizes)?;
        let mut real = symbols.f_ne(self.spec.symbols.pad)?;
        let x = Tensor::f_embedding(&self.embedding, &symbols, -1, false, false)?;
        let mut x = x.f_mul(&real.f_unsqueeze(-1)?.f_to_kind(x.kind())?)?;
        for layer in &self.layers {
            (x, real) = layer.forward(&x, &real)?;
        }
        let tokens = symbols::beside(x, self.positions.as_ref())?;
        ctx.record("tokens", &tokens);
        Tokens::masked(tokens, real.f_to_kind(Kind::Bool)?)
    }
}
