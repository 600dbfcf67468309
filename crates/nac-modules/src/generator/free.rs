//! Circuit generator with free parameters.
//!
//! Codes and signatures are parameters; initial states come from the codes (see [`super::Seeder`]) or are
//! parameters too. Source: reference `model/nc/latents.py`, `seeding.py`.

use nac_core::model::spec::GeneratorSpec;
use tch::Tensor;

use super::{Circuit, CircuitGenerator, ModuleGroup, ModuleLatents, ModuleSet, Seeder};
use crate::context::ForwardContext;
use crate::error::Result;
use crate::inputs::Inputs;
use crate::params::Scope;

/// Signatures and codes as parameters.
///
/// Parameters below `input_latents`, `mediator_latents` and `output_latents` (the reference's names for
/// read-in, processor and read-out modules; see [`ModuleLatents`]) and below `latent_seeder` (see [`Seeder`]).
/// In the final configuration nothing depends on the signatures of the read-in modules; they exist for the
/// sake of the names.
#[derive(Debug)]
pub struct FreeGenerator {
    read_in: Option<ModuleLatents>,
    processors: ModuleLatents,
    read_out: ModuleLatents,
    seeder: Seeder,
    seed_processors: bool,
}

impl FreeGenerator {
    /// The generator of `spec`.
    ///
    /// # Errors
    /// A size is zero or a name is taken.
    pub fn new(scope: &mut Scope<'_>, spec: &GeneratorSpec) -> Result<Self> {
        let read_in = spec.read_in.as_ref();
        Ok(Self {
            read_in: read_in
                .map(|set| ModuleLatents::new(scope, set))
                .transpose()?,
            processors: ModuleLatents::new(scope, &spec.processors)?,
            read_out: ModuleLatents::new(scope, &spec.read_out)?,
            seeder: Seeder::new(scope, &spec.seeder)?,
            seed_processors: spec.seeds_processors,
        })
    }

    fn module_set(
        &self,
        latents: &ModuleLatents,
        seeded: bool,
        batch: i64,
        ctx: &mut ForwardContext<'_>,
    ) -> Result<ModuleSet> {
        let codes = latents.first_codes();
        let states = match latents.initial_states() {
            Some(states) => states.shallow_clone(),
            None if seeded => self.seeder.forward(&codes, batch, ctx)?,
            None => codes.shallow_clone(),
        };
        Ok(ModuleSet {
            signatures: latents.signatures().shallow_clone(),
            codes,
            layer_codes: latents.layer_codes(),
            states,
        })
    }
}

impl CircuitGenerator for FreeGenerator {
    /// Draws noise for read-in, processor and read-out modules, in this order.
    fn generate(&self, inputs: &Inputs, ctx: &mut ForwardContext<'_>) -> Result<Circuit> {
        let batch = inputs.batch_size();
        let reading = self.read_in.as_ref().unwrap_or(&self.processors);
        let read_in = self.module_set(reading, true, batch, ctx)?;
        let processors = self.module_set(&self.processors, self.seed_processors, batch, ctx)?;
        Ok(Circuit {
            read_in,
            processors,
            read_out: self.module_set(&self.read_out, true, batch, ctx)?,
        })
    }

    fn free_signatures(&self, group: ModuleGroup) -> Option<&Tensor> {
        let latents = match group {
            ModuleGroup::ReadIn => self.read_in.as_ref(),
            ModuleGroup::Processors => Some(&self.processors),
            ModuleGroup::ReadOut => Some(&self.read_out),
        };
        latents.map(ModuleLatents::signatures)
    }
}
