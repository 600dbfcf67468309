//! A whole NAC: tokenizer, circuit generator, circuit executor, head.

use tch::Tensor;

use super::{Inputs, Model, ModelOutput};
use crate::attention::SignatureGraph;
use crate::circuit::{CircuitConfig, CircuitExecutor};
use crate::context::ForwardContext;
use crate::error::Result;
use crate::generator::{CircuitGenerator, FreeGenerator};
use crate::head::{ConfidencePooling, FirstSlot, HeadKind};
use crate::params::{ParamStore, Scope};
use crate::tokenizer::Tokenizer;

/// A Neural Attentive Circuit that classifies.
///
/// Parameters under `input_tokenizer`, `latent_graphs.0` and `output_tokenizer`, as in the reference.
pub struct NeuralCircuit {
    store: ParamStore,
    tokenizer: Box<dyn Tokenizer>,
    generator: Box<dyn CircuitGenerator>,
    free_signatures: Option<Tensor>,
    executor: CircuitExecutor,
    head: Head,
}

#[derive(Debug)]
enum Head {
    Pooling(ConfidencePooling),
    First(FirstSlot),
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
        mut store: ParamStore,
        config: &CircuitConfig,
        classes: usize,
        tokenizer: impl FnOnce(Scope<'_>) -> Result<Box<dyn Tokenizer>>,
    ) -> Result<Self> {
        let generator =
            FreeGenerator::new(store.root().sub("latent_graphs.0"), &config.generator())?;
        let signatures = generator.processor_signatures().shallow_clone();
        let mut model =
            Self::with_generator(store, config, classes, tokenizer, Box::new(generator))?;
        model.free_signatures = Some(signatures);
        Ok(model)
    }

    /// A circuit with a generator of your own, whose parameters (if any) are already in `store`.
    ///
    /// # Errors
    /// A setting is out of range or a name is taken.
    pub fn with_generator(
        mut store: ParamStore,
        config: &CircuitConfig,
        classes: usize,
        tokenizer: impl FnOnce(Scope<'_>) -> Result<Box<dyn Tokenizer>>,
        generator: Box<dyn CircuitGenerator>,
    ) -> Result<Self> {
        config.check()?;
        let mut root = store.root();
        let tokenizer = tokenizer(root.sub("input_tokenizer"))?;
        let executor = CircuitExecutor::new(
            root.sub("latent_graphs.0"),
            tokenizer.token_dim(),
            classes,
            config,
        )?;
        let head = match config.head.kind {
            HeadKind::ConfidencePooling => Head::Pooling(ConfidencePooling::with_config(
                root.sub("output_tokenizer"),
                executor.output_dim(),
                classes,
                &config.head,
            )?),
            HeadKind::FirstSlot => Head::First(FirstSlot),
        };
        Ok(Self {
            store,
            tokenizer,
            generator,
            free_signatures: None,
            executor,
            head,
        })
    }
}

impl Model for NeuralCircuit {
    fn forward(&self, inputs: &Inputs, ctx: &mut ForwardContext<'_>) -> Result<ModelOutput> {
        let tokens = self.tokenizer.tokenize(inputs, ctx)?;
        let circuit = self.generator.generate(inputs, ctx)?;
        let states = self.executor.forward(&tokens, &circuit, ctx)?;
        let logits = match &self.head {
            Head::Pooling(head) => head.forward(&states, ctx)?,
            Head::First(head) => head.forward(&states)?,
        };
        Ok(ModelOutput {
            logits,
            intermediates: ctx.take_intermediates(),
        })
    }

    fn params(&self) -> &ParamStore {
        &self.store
    }

    fn params_mut(&mut self) -> &mut ParamStore {
        &mut self.store
    }

    /// One graph per distinct kernel: propagators that are one, or whose bandwidth is fixed, share theirs.
    fn signature_graphs(&self) -> Vec<SignatureGraph<'_>> {
        let Some(signatures) = &self.free_signatures else {
            return Vec::new();
        };
        let graph = |(layer, kernel)| SignatureGraph {
            name: format!("propagator.{layer}"),
            kernel,
            signatures: signatures.shallow_clone(),
        };
        let kernels = self.executor.kernels().enumerate();
        kernels
            .filter(|(layer, kernel)| *layer == 0 || kernel.config().learnable_bandwidth)
            .map(graph)
            .collect()
    }
}
