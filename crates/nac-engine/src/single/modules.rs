//! A set of modules: signatures, codes and the initial states that come from them.

use ndarray::Array2;

use super::SingleLayer;
use crate::circuit::generator::{initial_states, modules};
use crate::error::Result;
use nac_core::model::spec::{ModuleSetSpec, SeederSpec};

/// A set of modules.
#[derive(Debug, Clone, PartialEq)]
pub struct ModuleSet {
    /// `[modules, signature]`.
    pub signatures: Array2<f32>,
    /// `[modules, code]` for each propagator, or one for all.
    pub codes: Vec<Array2<f32>>,
    /// Initial states of modules with each of these codes, `[modules, state]`. A model starts from the first.
    pub states: Vec<Array2<f32>>,
}

impl SingleLayer<'_> {
    /// The set of `spec`, with initial states from `seeder`.
    ///
    /// # Errors
    /// The seeder needs noise in evaluation, or a tensor is missing, has another shape or is not used.
    pub fn modules(&self, spec: &ModuleSetSpec, seeder: &SeederSpec) -> Result<ModuleSet> {
        self.built(|scope| {
            let set = modules(scope, spec, seeder)?;
            let codes = set.all_codes().to_vec();
            let states = codes
                .iter()
                .map(|codes| initial_states(scope, spec, seeder, codes))
                .collect::<Result<_>>()?;
            Ok(ModuleSet {
                signatures: set.signatures,
                codes,
                states,
            })
        })
    }
}
