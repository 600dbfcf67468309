//! Circuit generator with free parameters.
//!
//! Codes and signatures are parameters; initial states come from the codes (see [`super::Seeder`]) or are
//! parameters too. Source: reference `model/nc/latents.py`, `seeding.py`.

use tch::Tensor;

use super::{
    Circuit, CircuitGenerator, FreeGeneratorConfig, LatentSizes, ModuleGroup, ModuleLatents,
    ModuleSet, Seeder, StateMean,
};
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
    /// A generator.
    ///
    /// # Errors
    /// A setting is out of range or a name is taken.
    pub fn new(mut scope: Scope<'_>, config: &FreeGeneratorConfig) -> Result<Self> {
        let code_dim = config.code_dim.unwrap_or(config.state_dim);
        let sizes = |modules, code_layers| LatentSizes {
            modules,
            signature_dim: config.signature_dim,
            code_dim,
            code_layers,
            state_dim: (config.seeder.mean == StateMean::Learned).then_some(config.state_dim),
        };
        let read_in = config
            .read_in_modules
            .map(|count| {
                let scope = scope.sub("input_latents");
                ModuleLatents::new(scope, sizes(count, None), &config.read_in)
            })
            .transpose()?;
        let processors = ModuleLatents::new(
            scope.sub("mediator_latents"),
            sizes(config.modules, config.code_layers),
            &config.processors,
        )?;
        let read_out = ModuleLatents::new(
            scope.sub("output_latents"),
            sizes(config.read_out_modules, None),
            &config.read_out,
        )?;
        let seeder = Seeder::new(
            scope.sub("latent_seeder"),
            config.state_dim,
            code_dim,
            &config.seeder,
        )?;
        Ok(Self {
            read_in,
            processors,
            read_out,
            seeder,
            seed_processors: !config.read_in_states_become_processors,
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
