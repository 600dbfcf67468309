//! The circuit generator: decides who the modules are.
//!
//! A generator gives each module its signature (who it talks to), its code (what it computes) and its
//! initial state. [`FreeGenerator`] learns them as free parameters; a conditional generator derives them
//! from an input and returns one set per example.

mod free;
mod latents;
mod seeder;

use tch::Tensor;

pub use free::FreeGenerator;
pub use latents::{LatentSizes, Latents};
pub use nac_core::model::{
    FreeGeneratorConfig, LatentsConfig, SeederConfig, SignatureStart, StateMean,
};
pub use seeder::Seeder;

use crate::context::ForwardContext;
use crate::error::Result;
use crate::model::Inputs;

/// Signatures, codes and initial states of a set of modules.
///
/// Each is `[modules, dim]`, shared by the batch, or `[batch, modules, dim]`, one per example.
#[derive(Debug)]
pub struct ModuleSet {
    /// Signatures, `[modules, signature]`.
    pub signatures: Tensor,
    /// Codes, `[modules, code]`.
    pub codes: Tensor,
    /// Codes of each propagator, as `codes`, if they differ; empty if `codes` serve all.
    pub layer_codes: Vec<Tensor>,
    /// Initial states, `[modules, state]`. Not used for processors that take over the states of the read-in.
    pub states: Tensor,
}

impl ModuleSet {
    /// Codes in propagator `layer`.
    pub fn codes_at(&self, layer: usize) -> &Tensor {
        self.layer_codes.get(layer).unwrap_or(&self.codes)
    }

    /// Codes after the last propagator.
    pub fn last_codes(&self) -> &Tensor {
        self.layer_codes.last().unwrap_or(&self.codes)
    }

    /// Initial states for a batch.
    ///
    /// # Shapes
    /// - output: `[batch, modules, state]`
    pub fn batched_states(&self, batch: i64) -> Tensor {
        if self.states.dim() == 2 {
            self.states.unsqueeze(0).expand([batch, -1, -1], false)
        } else {
            self.states.shallow_clone()
        }
    }
}

/// The configuration of a circuit: all its modules.
#[derive(Debug)]
pub struct Circuit {
    /// Modules that read the input; in the final configuration their states become the processors'.
    pub read_in: ModuleSet,
    /// Modules that talk to each other in the propagators. As many as `read_in` if they take its states over.
    pub processors: ModuleSet,
    /// Modules that gather the result.
    pub read_out: ModuleSet,
}

/// Decides the configuration of the circuit, from parameters or from the model's inputs.
pub trait CircuitGenerator {
    /// The circuit for a batch.
    ///
    /// # Errors
    /// A conditioning input is missing or has a wrong shape.
    fn generate(&self, inputs: &Inputs, ctx: &mut ForwardContext<'_>) -> Result<Circuit>;
}
