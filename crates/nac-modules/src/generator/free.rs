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

    /// The circuit of a batch with these changes. Draws noise for read-in, processor and read-out modules, in this order.
    ///
    /// # Errors
    /// The shapes do not fit, or the source of noise fails.
    pub(super) fn changed(
        &self,
        changes: &Changes,
        batch: i64,
        ctx: &mut ForwardContext<'_>,
    ) -> Result<Circuit> {
        let (reading, change) = match &self.read_in {
            Some(latents) => (latents, &changes.read_in),
            None => (&self.processors, &changes.processors),
        };
        let read_in = self.module_set((reading, change), true, batch, ctx)?;
        let processors = (&self.processors, &changes.processors);
        let mut processors = self.module_set(processors, self.seed_processors, batch, ctx)?;
        if self.read_in.is_none() {
            processors.signatures = read_in.signatures.shallow_clone();
        }
        let read_out = (&self.read_out, &changes.read_out);
        Ok(Circuit {
            read_in,
            processors,
            read_out: self.module_set(read_out, true, batch, ctx)?,
            texts: None,
        })
    }

    fn module_set(
        &self,
        (latents, change): (&ModuleLatents, &Change),
        seeded: bool,
        batch: i64,
        ctx: &mut ForwardContext<'_>,
    ) -> Result<ModuleSet> {
        let with = |prior: &Tensor, change: &Option<Tensor>| -> Result<Tensor> {
            Ok(match change {
                Some(change) => prior.f_add(change)?,
                None => prior.shallow_clone(),
            })
        };
        let codes = with(&latents.first_codes(), &change.codes)?;
        let layer_codes = latents.layer_codes();
        let layer_codes = layer_codes.iter().map(|codes| with(codes, &change.codes));
        let states = match latents.initial_states() {
            Some(states) => states.shallow_clone(),
            None if seeded => self.seeder.forward(&codes, batch, ctx)?,
            None => codes.shallow_clone(),
        };
        Ok(ModuleSet {
            signatures: with(latents.signatures(), &change.signatures)?,
            codes,
            layer_codes: layer_codes.collect::<Result<_>>()?,
            states,
        })
    }
}

/// What is added to the signatures and codes of a set, `[batch, modules, dim]` each.
#[derive(Debug, Default)]
pub(super) struct Change {
    pub(super) signatures: Option<Tensor>,
    pub(super) codes: Option<Tensor>,
}

/// The change of each set of modules. Without separate read-in modules theirs is that of the processors.
#[derive(Debug, Default)]
pub(super) struct Changes {
    pub(super) read_in: Change,
    pub(super) processors: Change,
    pub(super) read_out: Change,
}

impl CircuitGenerator for FreeGenerator {
    /// Draws noise for read-in, processor and read-out modules, in this order.
    fn generate(&self, inputs: &Inputs, ctx: &mut ForwardContext<'_>) -> Result<Circuit> {
        self.changed(&Changes::default(), inputs.batch_size(), ctx)
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
