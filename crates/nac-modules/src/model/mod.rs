//! The interface between a model and code that trains, evaluates or inspects it.

mod build;
mod circuit_model;
mod output;
mod size;

use tch::Tensor;

pub use build::{BuildModel, build_model};
pub use circuit_model::NeuralCircuit;
pub use nac_core::model::{
    ImageTokenizer, InputKind, InputSpec, ModelConfig, ModelFile, ModelKind, Normalization,
    OutputSpec,
};
pub use output::ModelOutput;
pub use size::{Measure, matched_latent_dim, matched_to};

pub use crate::inputs::Inputs;

use crate::context::ForwardContext;
use crate::error::Result;
use crate::generator::ModuleGroup;
use crate::params::ParamStore;

/// Maps inputs to logits, the circuit that was used, and named intermediates.
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

    /// Signatures that are tensors of [`params`](Self::params), `[modules, dim]`, so that they can be given initial
    /// values. None for a model without, or whose signatures are computed.
    fn free_signatures(&self, group: ModuleGroup) -> Option<&Tensor> {
        let _ = group;
        None
    }

    /// Runs the model in evaluation, without gradients. Layers that draw there get the same draws in each call.
    ///
    /// # Errors
    /// As [`forward`](Self::forward).
    fn predict(&self, inputs: &Inputs) -> Result<ModelOutput> {
        tch::no_grad(|| self.forward(inputs, &mut ForwardContext::evaluation()))
    }
}
