//! What tokenizers make and read-in attention consumes.

use tch::{Kind, Tensor};

use crate::error::Result;
use crate::shape;

/// A batch of token sequences.
#[derive(Debug)]
pub struct Tokens {
    values: Tensor,
    mask: Option<Tensor>,
}

impl Tokens {
    /// Tokens without padding.
    ///
    /// # Shapes
    /// - values: `[batch, tokens, dim]`
    ///
    /// # Errors
    /// `values` has another rank.
    pub fn new(values: Tensor) -> Result<Self> {
        shape::check(
            "Tokens",
            "values",
            &values,
            &[("batch", None), ("tokens", None), ("dim", None)],
        )?;
        Ok(Self { values, mask: None })
    }

    /// Tokens of which some are padding.
    ///
    /// # Shapes
    /// - values: `[batch, tokens, dim]`
    /// - mask: `[batch, tokens]`, boolean, true where a token is real
    ///
    /// # Errors
    /// The shapes do not fit together.
    pub fn masked(values: Tensor, mask: Tensor) -> Result<Self> {
        let mut tokens = Self::new(values)?;
        let size = tokens.values.size();
        shape::check(
            "Tokens",
            "mask",
            &mask,
            &[("batch", Some(size[0])), ("tokens", Some(size[1]))],
        )?;
        tokens.mask = Some(mask.f_to_kind(Kind::Bool)?);
        Ok(tokens)
    }

    /// Values, `[batch, tokens, dim]`.
    pub fn values(&self) -> &Tensor {
        &self.values
    }

    /// True where a token is real, `[batch, tokens]`; `None` if all are.
    pub fn mask(&self) -> Option<&Tensor> {
        self.mask.as_ref()
    }

    /// `scores` with a large negative number where the token is padding.
    ///
    /// Finite, so that a row with no real token at all gives a uniform average and not NaN.
    ///
    /// # Shapes
    /// - scores: `[batch, heads, modules, tokens]`
    pub(crate) fn mask_scores(&self, scores: Tensor) -> Tensor {
        match &self.mask {
            Some(mask) => scores.masked_fill(&mask.logical_not().unsqueeze(1).unsqueeze(1), -1e9),
            None => scores,
        }
    }
}
