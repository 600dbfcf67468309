//! CPU inference of trained models without libtorch: tokenizers, circuits and Perceiver IO; and the blocks of training.
//!
//! ```text
//! input ─► tokenizer ─► read-in ─► propagator × L ─► read-out ─► head ─► logits
//!               feature-major blocks of 32 modules or tokens (blocks, simd)
//! ```
//!
//! [`CoreEngine`] loads a [`ModelFile`](nac_core::model::ModelFile) and a safetensors file of weights and computes what
//! the same model computes on libtorch in evaluation. What depends on signatures and codes alone (modulations, links,
//! the queries of read-in and read-out) is computed at loading. [`Engine`] is the interface that it shares with other
//! executors. [`single`] runs one layer on its own. [`training`] computes blocks forward and backward.

mod attention;
mod backend;
mod blocks;
mod body;
mod circuit;
mod conditional;
mod connectivity;
mod core_engine;
mod error;
mod input;
mod kept;
mod layer;
pub mod optimizer;
mod options;
mod perceiver_io;
mod probe;
mod random_inputs;
mod scratch;
mod simd;
pub mod single;
mod stem_only;
mod thread_pool;
mod tokenizer;
pub mod training;
mod weights;

pub use backend::Precision;
pub use circuit::States;
pub use connectivity::Connectivity;
pub use core_engine::CoreEngine;
pub use error::{EngineError, Result};
pub use input::{InputView, Inputs};
pub use options::EngineOptions;
pub use probe::{Operation, Probe};
pub use random_inputs::RandomInputs;
pub use weights::ModelWeights;

use ndarray::{Array2, ArrayViewMut2};

use nac_core::model::{InputSpec, OutputSpec};

/// Something that computes the logits of a trained model in evaluation.
pub trait Engine: Send + Sync {
    /// What the model reads.
    fn inputs(&self) -> &InputSpec;

    /// What the model answers.
    fn output(&self) -> &OutputSpec;

    /// Computes logits into `logits`.
    ///
    /// # Shapes
    /// - inputs: each `[batch, ...]`
    /// - logits: `[batch, width of the output]`
    ///
    /// # Errors
    /// [`EngineError::Input`] if the inputs are not those that the model reads, [`EngineError::OutputShape`] if `logits` has
    /// another shape.
    fn infer_into(&self, inputs: &Inputs<'_>, logits: ArrayViewMut2<'_, f32>) -> Result<()>;

    /// Computes logits.
    ///
    /// # Shapes
    /// - inputs: each `[batch, ...]`
    /// - result: `[batch, width of the output]`
    ///
    /// # Errors
    /// [`EngineError::Input`] if the inputs are not those that the model reads.
    fn infer(&self, inputs: &Inputs<'_>) -> Result<Array2<f32>> {
        let mut logits = Array2::zeros((inputs.batch(), self.output().width()));
        self.infer_into(inputs, logits.view_mut())?;
        Ok(logits)
    }
}
