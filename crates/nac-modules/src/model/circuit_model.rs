//! A whole NAC: tokenizer, circuit generator, circuit executor, head.

use nac_core::model::spec::{GeneratorSpec, HeadSpec};
use tch::Tensor;

use super::{Model, ModelOutput};
use crate::circuit::{CircuitConfig, CircuitExecutor, CircuitOutput};
use crate::context::ForwardContext;
use crate::error::Result;
use crate::generator::{CircuitGenerator, FreeGenerator, ModuleGroup};
use crate::head::{ConfidencePooling, FirstSlot};
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
        outputs: usize,
        tokenizer: impl FnOnce(Scope<'_>) -> Result<Box<dyn Tokenizer>>,
    ) -> Result<Self> {
        Self::with_generator(store, config, outputs, tokenizer, |mut scope, spec| {
            Ok(Box::new(FreeGenerator::new(&mut scope, spec)?))
        })
    }

    /// A circuit with any generator. `tokenizer` builds its part in the scope it is given, `generator` in the root of the
    /// parameter names, best below the path of the [`GeneratorSpec`] that says how many modules of which dimensions the
    /// settings want.
    ///
    /// The generator decides the sizes of the sets of modules; signatures, codes and states must have the dimensions
    /// of `config`. See the example `custom_generator` of nac-train.
    ///
    /// # Errors
    /// A setting is out of range or a name is taken.
    pub fn with_generator(
        mut store: ParamStore,
        config: &CircuitConfig,
        outputs: usize,
        tokenizer: impl FnOnce(Scope<'_>) -> Result<Box<dyn Tokenizer>>,
        generator: impl FnOnce(Scope<'_>, &GeneratorSpec) -> Result<Box<dyn CircuitGenerator>>,
    ) -> Result<Self> {
        let mut root = store.root();
        let tokenizer = tokenizer(root.sub("input_tokenizer"))?;
        let spec = config.resolve(tokenizer.token_dim(), outputs)?;
        let generator = generator(root.sub(""), &spec.generator)?;
        let executor = CircuitExecutor::new(&mut root, &spec)?;
        let head = match &spec.head {
            HeadSpec::ConfidencePooling(head) => {
                Pooling::Confidence(ConfidencePooling::new(&mut root, head)?)
            }
            HeadSpec::FirstSlot => Pooling::FirstSlot(FirstSlot),
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
