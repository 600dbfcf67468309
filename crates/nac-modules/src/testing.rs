//! Test doubles for the seams of this crate.

use crate::context::ForwardContext;
use crate::error::Result;
use crate::inputs::Inputs;
use crate::layer::Linear;
use crate::model::{Model, ModelOutput};
use crate::params::ParamStore;
use crate::shape;
use crate::tokenizer::Tokenizer;
use crate::tokens::Tokens;

/// A tokenizer that hands one input through as it is.
#[derive(Debug)]
pub struct Passthrough {
    input: String,
    token_dim: usize,
}

impl Passthrough {
    /// Passes `input`, `[batch, tokens, token_dim]`, through.
    pub fn new(input: impl Into<String>, token_dim: usize) -> Self {
        Self {
            input: input.into(),
            token_dim,
        }
    }
}

impl Tokenizer for Passthrough {
    fn token_dim(&self) -> usize {
        self.token_dim
    }

    fn tokenize(&self, inputs: &Inputs, _ctx: &mut ForwardContext<'_>) -> Result<Tokens> {
        Tokens::new(inputs.get(&self.input)?.shallow_clone())
    }
}

/// A linear classifier on one flattened input: the smallest thing that trains.
#[derive(Debug)]
pub struct LinearModel {
    store: ParamStore,
    input: String,
    head: Linear,
}

impl LinearModel {
    /// A classifier of `input` with `features` numbers per example.
    ///
    /// # Errors
    /// A size is zero.
    pub fn new(
        mut store: ParamStore,
        input: impl Into<String>,
        features: usize,
        classes: usize,
    ) -> Result<Self> {
        let head = Linear::new(store.root().sub("head"), features, classes, true)?;
        Ok(Self {
            store,
            input: input.into(),
            head,
        })
    }
}

impl Model for LinearModel {
    fn forward(&self, inputs: &Inputs, ctx: &mut ForwardContext<'_>) -> Result<ModelOutput> {
        let kind = self.store.kind();
        let x = inputs.get(&self.input)?.f_to_kind(kind)?.f_flatten(1, -1)?;
        let features = self.head.weight().size()[1];
        let expected = [("batch", None), ("features", Some(features))];
        shape::check("LinearModel", &self.input, &x, &expected)?;
        ctx.record("features", &x);
        Ok(ModelOutput {
            intermediates: ctx.take_intermediates(),
            ..ModelOutput::new(self.head.forward(&x)?)
        })
    }

    fn params(&self) -> &ParamStore {
        &self.store
    }

    fn params_mut(&mut self) -> &mut ParamStore {
        &mut self.store
    }
}
