//! A set of modules: signatures, codes and the initial states that come from them.

use ndarray::Array2;

use super::SingleLayer;
use crate::circuit::generator::{check, initial_states, modules};
use crate::error::Result;
use nac_core::model::FreeGeneratorConfig;

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
    /// The processors of a generator. Tensors `codes_`, `signatures_` and `initial_states_` below `latents`, those that
    /// make states of codes below `seeder`; an empty name is the layer itself.
    ///
    /// # Errors
    /// A setting makes no sense or needs noise in evaluation, or a tensor is missing, has another shape or is not used.
    pub fn modules(
        &self,
        config: &FreeGeneratorConfig,
        (latents, seeder): (&str, &str),
    ) -> Result<ModuleSet> {
        check(config)?;
        self.built(|root| {
            let at = |name: &str| {
                if name.is_empty() {
                    root.clone()
                } else {
                    root.sub(name)
                }
            };
            let (latents, seeder) = (at(latents), at(seeder));
            let count = (config.modules, config.code_layers);
            let set = modules(&latents, &seeder, count, config)?;
            let codes = set.all_codes().to_vec();
            let states = codes
                .iter()
                .map(|codes| initial_states(&latents, &seeder, codes, config))
                .collect::<Result<_>>()?;
            Ok(ModuleSet {
                signatures: set.signatures,
                codes,
                states,
            })
        })
    }
}
