//! Sets of modules and their initial states.

use crate::settings::{ImportedLatents, ImportedSeededLatents};
use nac_modules::generator::{ModuleLatents, Seeder};
use tch::Tensor;

use super::context::Case;
use super::error::{CaseError, CaseResult};

pub(super) fn latents(case: &mut Case<'_>, imported: &ImportedLatents) -> CaseResult<()> {
    let mut store = case.store();
    let latents = ModuleLatents::new(&mut store.root(), &imported.spec)?;
    case.load(&mut store)?;
    let mut outputs = vec![
        ("signatures", latents.signatures().shallow_clone()),
        ("codes", latents.codes().shallow_clone()),
    ];
    if let Some(states) = latents.initial_states() {
        let recorded = case.golden().tensors.get("out.states");
        let batch = recorded
            .and_then(|t| t.size().first().copied())
            .unwrap_or(1);
        outputs.push((
            "states",
            states.f_unsqueeze(0)?.f_expand([batch, -1, -1], false)?,
        ));
    }
    outputs.retain(|(name, _)| case.has(&format!("out.{name}")));
    let outputs: Vec<(&str, &Tensor)> = outputs.iter().map(|(name, t)| (*name, t)).collect();
    case.check_squares(&outputs, &case.inputs()?, Some(&store))
}

pub(super) fn seeded(case: &mut Case<'_>, imported: &ImportedSeededLatents) -> CaseResult<()> {
    let mut store = case.store();
    let latents = ModuleLatents::new(&mut store.root(), &imported.latents)?;
    let seeder = Seeder::new(&mut store.root(), &imported.seeder)?;
    case.load(&mut store)?;
    let batch = i64::try_from(imported.batch_size).unwrap_or(0);
    // States that are the same for every example come once.
    let batched = |states: Tensor| match states.dim() {
        2 => states.f_unsqueeze(0)?.f_expand([batch, -1, -1], false),
        _ => Ok(states),
    };
    let states = seeder.forward(&latents.first_codes(), batch, &mut case.pass())?;
    let mut outputs = vec![("states", batched(states)?)];
    if case.has("out.states_last") {
        let codes = latents.layer_codes();
        let last = codes
            .last()
            .ok_or_else(|| CaseError::Broken("there is one code only".into()))?;
        let states = seeder.forward(last, batch, &mut case.pass())?;
        outputs.push(("states_last", batched(states)?));
    }
    case.noise_is_used()?;
    let outputs: Vec<(&str, &Tensor)> = outputs.iter().map(|(name, t)| (*name, t)).collect();
    case.check_squares(&outputs, &case.inputs()?, Some(&store))
}
