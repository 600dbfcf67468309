//! A whole NAC: tokenizer, circuit generator, circuit executor, head.

use tch::Tensor;

use super::{Model, ModelOutput};
use crate::circuit::{CircuitConfig, CircuitExecutor, CircuitOutput};
use crate::context::ForwardContext;
use crate::error::Result;
use crate::generator::{CircuitGenerator, FreeGenerator, ModuleGroup};
use crate::head::{ConfidencePooling, FirstSlot, HeadKind};
use crate::inputs::Inputs;
use crate::params::{ParamStore, Scope};
use crate::tokenizer::Tokenizer;

/// A Neural Attentive Circuit that classifies.
///
/// Parameters under `input_tokenizer`, `latent_graphs.0` and `output_tokenizer`, as in the reference.
pub struct NeuralCircuit {
    store: ParamStore,
    tokenizer: Box<dyn Tokenizer>,
    generator: Box<dyn CircuitGenerator>,
    executor: CircuitExecutor,
    head: Pooling,
}

#[derive(Debug)]
enum Pooling {
    Confidence(ConfidencePooling),
    FirstSlot(FirstSlot),
}

impl std::fmt::Debug for NeuralCircuit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NeuralCircuit")
            .field("parameters", &self.store.parameter_count())
            .finish_non_exhaustive()
    }
}

impl NeuralCircuit {
    /// A circuit whose signatures and codes are free parameters.
    ///
    /// `tokenizer` builds the tokenizer in the scope it is given, so any [`Tokenizer`] will do.
    ///
    /// # Errors
    /// A setting is out of range or a name is taken.
    pub fn new(
        store: ParamStore,
        config: &CircuitConfig,
        classes: usize,
        tokenizer: impl FnOnce(Scope<'_>) -> Result<Box<dyn Tokenizer>>,
    ) -> Result<Self> {
        Self::with_generator(store, config, classes, tokenizer, |scope| {
            Ok(Box::new(FreeGenerator::new(scope, &config.generator())?))
        })
    }

    /// A circuit with any generator. `tokenizer` and `generator` build their parts in the scopes they are given.
    ///
    /// The generator decides the sizes of the sets of modules; signatures, codes and states must have the dimensions
    /// of `config`. See the example `custom_generator` of nac-train.
    ///
    /// # Errors
    /// A setting is out of range or a name is taken.
    pub fn with_generator(
        mut store: ParamStore,
        config: &CircuitConfig,
        classes: usize,
        tokenizer: impl FnOnce(Scope<'_>) -> Result<Box<dyn Tokenizer>>,
        generator: impl FnOnce(Scope<'_>) -> Result<Box<dyn CircuitGenerator>>,
    ) -> Result<Self> {
        config.check()?;
        let mut root = store.root();
        let generator = generator(root.sub("latent_graphs.0"))?;
        let tokenizer = tokenizer(root.sub("input_tokenizer"))?;
        let executor = CircuitExecutor::new(
            root.sub("latent_graphs.0"),
            tokenizer.token_dim(),
            classes,
            config,
        )?;
        let head = match config.head.kind {
            HeadKind::ConfidencePooling => Pooling::Confidence(ConfidencePooling::with_config(
                root.sub("output_tokenizer"),
                executor.output_dim(),
                classes,
                &config.head,
            )?),
            HeadKind::FirstSlot => Pooling::FirstSlot(FirstSlot),
        };
        Ok(Self {
            store,
            tokenizer,
            generator,
            executor,
            head,
        })
    }
}

impl Model for NeuralCircuit {
    fn forward(&self, inputs: &Inputs, ctx: &mut ForwardContext<'_>) -> Result<ModelOutput> {
        let (conditions, inputs) = inputs.split(self.generator.conditions())?;
        let inputs = self.tokenizer.prepare(&inputs)?;
        let tokens = self.tokenizer.tokenize(&inputs, ctx)?;
        let circuit = self.generator.generate(&inputs.and(conditions), ctx)?;
        let states = self.executor.forward(&tokens, &circuit, ctx)?;
        let logits = match &self.head {
            Pooling::Confidence(head) => head.forward(&states, ctx)?,
            Pooling::FirstSlot(head) => head.forward(&states)?,
        };
        Ok(ModelOutput {
            logits,
            circuit: Some(CircuitOutput::new(
                circuit,
                self.executor.distinct_kernels(),
            )),
            intermediates: ctx.take_intermediates(),
        })
    }

    fn params(&self) -> &ParamStore {
        &self.store
    }

    fn params_mut(&mut self) -> &mut ParamStore {
        &mut self.store
    }

    fn free_signatures(&self, group: ModuleGroup) -> Option<&Tensor> {
        self.generator.free_signatures(group)
    }
}
