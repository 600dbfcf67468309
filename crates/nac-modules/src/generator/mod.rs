//! The circuit generator: gives each module its signature (whom it attends to), its code (what it computes) and
//! its initial state.
//!
//! [`FreeGenerator`] learns them as free parameters; [`ConditionalGenerator`] lets a text change them and returns one set
//! per example. Whatever the generator, the circuit it gave is part of the model's output, and
//! all terms of the loss read it there.

mod circuit;
mod conditional;
mod free;
mod latents;
mod seeder;
mod text_reader;

use tch::Tensor;

pub use circuit::{Circuit, ModuleSet, join_modules};
pub use conditional::ConditionalGenerator;
pub use free::FreeGenerator;
pub use latents::ModuleLatents;
pub use nac_core::model::{
    GeneratorConfig, GeneratorKind, LatentsConfig, ModuleGroup, SeederConfig, SignatureStart,
    StateMean,
};
pub use seeder::Seeder;

use crate::context::ForwardContext;
use crate::error::Result;
use crate::inputs::Inputs;

/// Decides the configuration of the circuit, from parameters or from the model's inputs.
pub trait CircuitGenerator {
    /// The circuit for a batch.
    ///
    /// # Shapes
    /// - inputs: one tensor per name, each `[batch, ...]`
    /// - output: signatures, codes and states, each `[modules, dim]` or `[batch, modules, dim]`
    ///
    /// # Errors
    /// A conditioning input is missing or has a wrong shape.
    fn generate(&self, inputs: &Inputs, ctx: &mut ForwardContext<'_>) -> Result<Circuit>;

    /// Names of inputs that the generator reads and the tokenizer does not; it gets them as they were given, and all
    /// others as the tokenizer prepared them. Default none.
    fn conditions(&self) -> &[String] {
        &[]
    }

    /// Signatures that are tensors of the store, `[modules, dim]`, so that they can be given initial values.
    /// Default none: signatures are computed.
    fn free_signatures(&self, group: ModuleGroup) -> Option<&Tensor> {
        let _ = group;
        None
    }
}
