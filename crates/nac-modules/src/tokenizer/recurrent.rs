//! Sequence tokenizer: symbol embeddings through gated linear recurrences.

use nac_core::model::spec::RecurrentSpec;
use tch::Tensor;

use super::{Tokenizer, symbols};
use crate::context::ForwardContext;
use crate::error::Result;
use crate::inputs::Inputs;
use crate::layer::{CHUNK, LayerNorm, Recurrence};
use crate::params::{Init, Scope};
use crate::shape;
use crate::tokens::Tokens;

/// Embeddings and recurrences. Parameters `embedding.weight`, `[vocabulary, dim]`, those of each [`Recurrence`] below
/// `layers.i`, `norm`, and `positions`, `[tokens, position_dim]`.
///
/// Reads the input `tokens`, or that of [`reading`](Self::reading), `[batch, length]`, integers, padded at the end: no
/// state depends on a later symbol. Windows of nothing but padding are masked out.
#[derive(Debug)]
pub struct RecurrentTokenizer {
    embedding: Tensor,
    layers: Vec<Recurrence>,
    norm: LayerNorm,
    positions: Option<Tensor>,
    spec: RecurrentSpec,
    input: String,
}

impl RecurrentTokenizer {
    /// The tokenizer of `spec`.
    ///
    /// # Errors
    /// A size is zero or a name is taken.
    pub fn new(root: &mut Scope<'_>, spec: &RecurrentSpec) -> Result<Self> {
        let layers = spec.layers.iter();
        let layers = layers.map(|layer| Recurrence::new(root, layer));
        let layers = layers.collect::<Result<_>>()?;
        let norm = LayerNorm::from_spec(root, &spec.norm)?;
        let mut scope = root.sub(&spec.path);
        let size = [
            shape::positive("vocabulary", spec.symbols.vocabulary)?,
            shape::positive("dim", spec.dim)?,
        ];
        let start = Init::Normal { std: 1.0 };
        Ok(Self {
            embedding: scope.sub("embedding").parameter("weight", &size, start)?,
            layers,
            norm,
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

    /// Means over the symbols of each window that are not padding.
    ///
    /// # Shapes
    /// - x: `[batch, length, dim]`
    /// - real: `[batch, length]`, boolean
    /// - output: `[batch, ⌈length / window⌉, dim]`
    fn pool(&self, x: Tensor, real: &Tensor) -> Result<Tensor> {
        if self.spec.window == 1 {
            return Ok(x);
        }
        let window = self.spec.window as i64;
        let real = real.f_unsqueeze(-1)?.f_to_kind(x.kind())?;
        let sum = |x: &Tensor| -> Result<Tensor> {
            Ok(symbols::windows(x, window)?.f_sum_dim_intlist(2, false, x.kind())?)
        };
        Ok(sum(&x.f_mul(&real)?)?.f_div(&sum(&real)?.f_clamp_min(1.0)?)?)
    }
}

impl Tokenizer for RecurrentTokenizer {
    fn token_dim(&self) -> usize {
        self.spec.token_dim()
    }

    fn tokenize(&self, inputs: &Inputs, ctx: &mut ForwardContext<'_>) -> Result<Tokens> {
        let sizes = (self.spec.symbols.vocabulary, self.spec.symbols.max_len);
        let symbols = symbols::read("RecurrentTokenizer", inputs, &self.input, sizes)?;
        let real = symbols.f_ne(self.spec.symbols.pad)?;
        let length = symbols.size()[1];
        // Whole chunks once, so that no layer has to fill them up.
        let filled = symbols.f_constant_pad_nd([0, (CHUNK - length % CHUNK) % CHUNK])?;
        let mut x = Tensor::f_embedding(&self.embedding, &filled, -1, false, false)?;
        for layer in &self.layers {
            x = layer.forward(&x)?;
        }
        let x = x.f_narrow(1, 0, length)?;
        let tokens = self.norm.forward(&self.pool(x, &real)?)?;
        let tokens = symbols::beside(tokens, self.positions.as_ref())?;
        ctx.record("tokens", &tokens);
        Tokens::masked(tokens, symbols::any(&real, self.spec.window as i64)?)
    }
}
