//! Tokenizer of vectors: feature vectors with positions, and sets of points through Fourier features.

use nac_core::model::spec::VectorsSpec;
use tch::Tensor;

use super::Tokenizer;
use crate::context::ForwardContext;
use crate::error::{ModuleError, Result};
use crate::inputs::Inputs;
use crate::layer::Linear;
use crate::params::{Init, Scope};
use crate::shape;
use crate::tokens::Tokens;

/// A linear layer on vectors or on Fourier features of them, beside a learned vector for each position if the vectors
/// have an order. Parameters `linear` and `positions`, `[items, position_dim]`.
///
/// Reads the input that [`reading`](Self::reading) names, `[batch, items, dim]`. Where their number varies, vectors of NaN
/// alone are padding.
#[derive(Debug)]
pub struct VectorTokenizer {
    linear: Linear,
    positions: Option<Tensor>,
    spec: VectorsSpec,
    input: String,
}

impl VectorTokenizer {
    /// The tokenizer of `spec`, which reads the input `features`.
    ///
    /// # Errors
    /// A size is zero or a name is taken.
    pub fn new(scope: &mut Scope<'_>, spec: &VectorsSpec) -> Result<Self> {
        let linear = Linear::from_spec(scope, &spec.linear)?;
        let mut scope = scope.sub(&spec.path);
        let size = [spec.items as i64, spec.position_dim as i64];
        let positions = (spec.position_dim > 0)
            .then(|| scope.parameter("positions", &size, Init::Normal { std: 1.0 }))
            .transpose()?;
        Ok(Self {
            linear,
            positions,
            spec: spec.clone(),
            input: "features".into(),
        })
    }

    /// Reads an input of another name.
    #[must_use]
    pub fn reading(mut self, input: impl Into<String>) -> Self {
        self.input = input.into();
        self
    }

    /// Which vectors are padding, `[batch, items]`, if any may be.
    fn padding(&self, x: &Tensor) -> Result<Option<Tensor>> {
        let padded = self.spec.padded;
        let padding = padded.then(|| x.f_isnan()?.f_all_dim(-1, false));
        Ok(padding.transpose()?)
    }

    /// `x`, then for each band `sin(2^k π x)` and `cos(2^k π x)`, along the last dimension.
    fn fourier(&self, x: &Tensor) -> Result<Tensor> {
        let mut parts = vec![x.shallow_clone()];
        for band in 0..self.spec.bands {
            let angle = x.f_mul_scalar(2_f64.powi(band as i32) * std::f64::consts::PI)?;
            parts.extend([angle.f_sin()?, angle.f_cos()?]);
        }
        Ok(Tensor::f_cat(&parts, -1)?)
    }
}

impl Tokenizer for VectorTokenizer {
    fn token_dim(&self) -> usize {
        self.spec.token_dim()
    }

    fn tokenize(&self, inputs: &Inputs, ctx: &mut ForwardContext<'_>) -> Result<Tokens> {
        let x = inputs.get(&self.input)?;
        let items = (!self.spec.padded).then_some(self.spec.items as i64);
        let dim = Some(self.spec.dim as i64);
        let expected = [("batch", None), ("items", items), ("dim", dim)];
        shape::check("VectorTokenizer", &self.input, x, &expected)?;
        let items = x.size()[1];
        if items > self.spec.items as i64 {
            return Err(ModuleError::Shape {
                op: "VectorTokenizer",
                name: self.input.clone(),
                expected: format!("[batch, 1..={}, dim]", self.spec.items),
                found: x.size(),
            });
        }
        let mut x = x.f_to_kind(self.linear.weight().kind())?;
        let padding = self.padding(&x)?;
        if let Some(padding) = &padding {
            x = x.f_masked_fill(&padding.f_unsqueeze(-1)?, 0.0)?;
        }
        let mut tokens = self.linear.forward(&self.fourier(&x)?)?;
        if let Some(positions) = &self.positions {
            let batch = tokens.size()[0];
            let positions = positions.f_narrow(0, 0, items)?;
            let positions = positions.unsqueeze(0).f_expand([batch, -1, -1], false)?;
            tokens = Tensor::f_cat(&[tokens, positions], -1)?;
        }
        ctx.record("tokens", &tokens);
        match padding {
            Some(padding) => Tokens::masked(tokens, padding.f_logical_not()?),
            None => Tokens::new(tokens),
        }
    }
}
