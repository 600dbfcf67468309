//! The seam between a model and whatever trains, evaluates or inspects it.

mod build;
mod circuit_model;
mod size;

use std::collections::BTreeMap;

use tch::Tensor;

pub use build::{BuildModel, build_model};
pub use circuit_model::NeuralCircuit;
pub use nac_core::model::{ImageTokenizer, InputSpec, ModelConfig, ModelFile, ModelKind};
pub use size::matched_latent_dim;

use crate::attention::SignatureGraph;
use crate::context::ForwardContext;
use crate::error::{ModuleError, Result};
use crate::params::ParamStore;

/// Named input tensors of a batch, such as `image` or `tokens`.
#[derive(Debug, Default)]
pub struct Inputs(BTreeMap<String, Tensor>);

impl Inputs {
    /// No inputs.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds or replaces one input.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, tensor: Tensor) -> Self {
        self.0.insert(name.into(), tensor);
        self
    }

    /// The input called `name`.
    ///
    /// # Errors
    /// [`ModuleError::MissingInput`], listing the names that are present.
    pub fn get(&self, name: &str) -> Result<&Tensor> {
        self.0.get(name).ok_or_else(|| ModuleError::MissingInput {
            name: name.to_owned(),
            present: self.0.keys().cloned().collect(),
        })
    }

    /// Number of examples: the first dimension of the first input, 0 if there is none.
    pub fn batch_size(&self) -> i64 {
        self.0
            .values()
            .next()
            .and_then(|t| t.size().first().copied())
            .unwrap_or(0)
    }
}

/// Result of a forward pass.
#[derive(Debug)]
pub struct ModelOutput {
    /// Class scores, `[batch, classes]`.
    pub logits: Tensor,
    /// Tensors that layers recorded, by name; empty unless the context asked for them.
    pub intermediates: BTreeMap<String, Tensor>,
}

/// Maps inputs to logits and named intermediates.
///
/// Everything outside this crate sees models through this trait only.
pub trait Model {
    /// Runs the model.
    ///
    /// # Shapes
    /// - inputs: one tensor per name, each `[batch, ...]`
    /// - logits: `[batch, classes]`
    ///
    /// # Errors
    /// An input is missing or has a wrong shape.
    fn forward(&self, inputs: &Inputs, ctx: &mut ForwardContext<'_>) -> Result<ModelOutput>;

    /// Parameters and buffers.
    fn params(&self) -> &ParamStore;

    /// Parameters and buffers, to load weights into.
    fn params_mut(&mut self) -> &mut ParamStore;

    /// Graphs that connect modules by signature, for graph priors, pruning and plots. Empty for a model without.
    fn signature_graphs(&self) -> Vec<SignatureGraph<'_>> {
        Vec::new()
    }
}
