//! Confidence-weighted pooling of the read-out modules.
//!
//! Each module scores its own confidence; a softmax over modules weighs their *states*, and the linear
//! head comes after the sum. Source: reference `tokenizers.py`, class `OutputLatentPooling` ("vanilla").

use tch::{Kind, Tensor};

use crate::context::ForwardContext;
use crate::error::Result;
use crate::layer::Linear;
use crate::params::Scope;
use crate::shape;

/// Softmax over confidences, weighted sum of states, linear head.
///
/// Parameters under `confidence_scorer` and `to_logits`.
#[derive(Debug)]
pub struct ConfidencePooling {
    confidence_scorer: Linear,
    to_logits: Linear,
    state_dim: i64,
}

impl ConfidencePooling {
    /// A head for `classes` classes.
    ///
    /// # Errors
    /// A size is zero or a name is taken.
    pub fn new(mut scope: Scope<'_>, state_dim: usize, classes: usize) -> Result<Self> {
        Ok(Self {
            confidence_scorer: Linear::new(scope.sub("confidence_scorer"), state_dim, 1, true)?,
            to_logits: Linear::new(scope.sub("to_logits"), state_dim, classes, true)?,
            state_dim: shape::positive("state_dim", state_dim)?,
        })
    }

    /// Logits of the pooled state. Records `head.confidence`, `[batch, modules]`.
    ///
    /// # Shapes
    /// - states: `[batch, modules, state]`
    /// - output: `[batch, classes]`
    ///
    /// # Errors
    /// The shape does not fit.
    pub fn forward(&self, states: &Tensor, ctx: &mut ForwardContext<'_>) -> Result<Tensor> {
        let expected = [
            ("batch", None),
            ("modules", None),
            ("state", Some(self.state_dim)),
        ];
        shape::check("ConfidencePooling", "states", states, &expected)?;
        let confidence = self
            .confidence_scorer
            .forward(states)
            .softmax(1, None::<Kind>);
        ctx.record("head.confidence", &confidence.squeeze_dim(-1));
        let pooled = (confidence * states).sum_dim_intlist([1].as_slice(), false, None::<Kind>);
        Ok(self.to_logits.forward(&pooled))
    }
}
