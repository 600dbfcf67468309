//! Circuit generator with free parameters.
//!
//! Codes and signatures start from a standard normal distribution; the initial state of a module is its
//! code (`use_code_as_mean_state` of the reference). Source: reference `model/nc/latents.py`, `seeding.py`.

use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::{Circuit, CircuitGenerator, ModuleSet};
use crate::context::ForwardContext;
use crate::error::Result;
use crate::model::Inputs;
use crate::params::{Init, Scope};
use crate::shape;

/// Sizes of a free generator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FreeGeneratorConfig {
    /// Read-in modules, and as many processor modules.
    pub modules: usize,
    /// Read-out modules.
    pub read_out_modules: usize,
    /// Dimension of states and of codes.
    pub state_dim: usize,
    /// Dimension of signatures.
    pub signature_dim: usize,
}

/// Signatures and codes as parameters.
///
/// Parameters: `codes_` and `signatures_` under `input_latents`, `mediator_latents` and `output_latents`
/// (the reference's names for read-in, processor and read-out modules). Signatures of the read-in modules
/// exist for the sake of the names; nothing depends on them.
#[derive(Debug)]
pub struct FreeGenerator {
    read_in: Latents,
    processors: Latents,
    read_out: Latents,
}

#[derive(Debug)]
struct Latents {
    codes: Tensor,
    signatures: Tensor,
}

impl Latents {
    fn new(mut scope: Scope<'_>, modules: i64, code_dim: i64, signature_dim: i64) -> Result<Self> {
        let start = Init::Normal { std: 1.0 };
        let codes = scope.parameter("codes_", &[modules, code_dim], start)?;
        let signatures = scope.parameter("signatures_", &[modules, signature_dim], start)?;
        Ok(Self { codes, signatures })
    }

    fn module_set(&self) -> ModuleSet {
        ModuleSet {
            signatures: self.signatures.shallow_clone(),
            codes: self.codes.shallow_clone(),
            states: self.codes.shallow_clone(),
        }
    }
}

impl FreeGenerator {
    /// A generator.
    ///
    /// # Errors
    /// A size is zero or a name is taken.
    pub fn new(mut scope: Scope<'_>, config: &FreeGeneratorConfig) -> Result<Self> {
        let modules = shape::positive("modules", config.modules)?;
        let read_out = shape::positive("read_out_modules", config.read_out_modules)?;
        let code_dim = shape::positive("state_dim", config.state_dim)?;
        let signature_dim = shape::positive("signature_dim", config.signature_dim)?;
        Ok(Self {
            read_in: Latents::new(scope.sub("input_latents"), modules, code_dim, signature_dim)?,
            processors: Latents::new(
                scope.sub("mediator_latents"),
                modules,
                code_dim,
                signature_dim,
            )?,
            read_out: Latents::new(
                scope.sub("output_latents"),
                read_out,
                code_dim,
                signature_dim,
            )?,
        })
    }

    /// Signatures of the processor modules, `[modules, signature]`.
    pub fn processor_signatures(&self) -> &Tensor {
        &self.processors.signatures
    }
}

impl CircuitGenerator for FreeGenerator {
    fn generate(&self, _inputs: &Inputs, _ctx: &mut ForwardContext<'_>) -> Result<Circuit> {
        Ok(Circuit {
            read_in: self.read_in.module_set(),
            processors: self.processors.module_set(),
            read_out: self.read_out.module_set(),
        })
    }
}
