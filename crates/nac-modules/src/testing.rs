//! Test doubles for the traits of this crate.

use crate::context::ForwardContext;
use crate::error::{ModuleError, Result};
use crate::generator::{Circuit, CircuitGenerator, FreeGenerator};
use crate::inputs::Inputs;
use crate::layer::Linear;
use crate::model::{Model, ModelOutput};
use crate::params::{ParamStore, Scope};
use crate::shape;
use crate::tokenizer::Tokenizer;
use crate::tokens::Tokens;
use nac_core::model::spec::GeneratorSpec;

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

/// The smallest conditional generator: linear maps of an input move the signatures and codes of the processors.
///
/// `s_b = s + W_s x_b + b_s`, `c_b = c + W_c x_b + b_c`, with `s` and `c` those of a [`FreeGenerator`], which also
/// gives the other modules. Parameters as there, and below `to_signatures` and `to_codes`.
#[derive(Debug)]
pub struct LinearGenerator {
    free: FreeGenerator,
    input: String,
    conditions: Vec<String>,
    to_signatures: Linear,
    to_codes: Linear,
}

impl LinearGenerator {
    /// A generator conditioned on `input`, which has `features` numbers per example.
    ///
    /// # Errors
    /// A setting is out of range, each propagator has separate codes, or a name is taken.
    pub fn new(
        scope: &mut Scope<'_>,
        spec: &GeneratorSpec,
        input: impl Into<String>,
        features: usize,
    ) -> Result<Self> {
        let modules = &spec.processors;
        if let Some(layers) = modules.code_layers {
            return Err(ModuleError::Setting {
                name: "code_layers".into(),
                value: layers.to_string(),
                reason: "this generator gives one code for all propagators".into(),
            });
        }
        let (signatures, codes) = (
            modules.modules * modules.signature_dim,
            modules.modules * modules.code_dim,
        );
        let free = FreeGenerator::new(scope, spec)?;
        let mut own = scope.sub(&spec.path);
        Ok(Self {
            to_signatures: Linear::new(own.sub("to_signatures"), features, signatures, true)?,
            to_codes: Linear::new(own.sub("to_codes"), features, codes, true)?,
            free,
            input: input.into(),
            conditions: Vec::new(),
        })
    }

    /// The same generator, for an input that the tokenizer does not read.
    #[must_use]
    pub fn with_separate_input(mut self) -> Self {
        self.conditions = vec![self.input.clone()];
        self
    }
}

impl CircuitGenerator for LinearGenerator {
    fn conditions(&self) -> &[String] {
        &self.conditions
    }

    /// # Shapes
    /// - input: `[batch, ...]`, flattened to `[batch, features]`
    /// - signatures, codes of processors: `[batch, modules, dim]`
    fn generate(&self, inputs: &Inputs, ctx: &mut ForwardContext<'_>) -> Result<Circuit> {
        let mut circuit = self.free.generate(inputs, ctx)?;
        let processors = &mut circuit.processors;
        let input = inputs.get(&self.input)?;
        let x = input.f_to_kind(processors.codes.kind())?.f_flatten(1, -1)?;
        for (map, start) in [
            (&self.to_signatures, &mut processors.signatures),
            (&self.to_codes, &mut processors.codes),
        ] {
            let size = start.size();
            let shift = map.forward(&x)?.f_view([x.size()[0], size[0], size[1]])?;
            *start = start.f_add(&shift)?;
        }
        Ok(circuit)
    }
}
