//! Layers between modules: attention, propagator and read-out; and those that take in tokens.

use std::collections::BTreeMap;

use nac_modules::Tokens;
use nac_modules::attention::{ReadInAttention, Skmdpa};
use nac_modules::circuit::{
    ModuleStates, Propagator, PropagatorConfig, ReadIn, ReadInConfig, ReadOut, ReadOutConfig,
};
use nac_modules::layer::{DropPath, ModFcConfig};
use nac_modules::reference::{ImportedAttention, ImportedBlock, ImportedReadInAttention};
use tch::Tensor;

use super::context::Case;
use super::stop::{Run, Stop};

/// Drop-path of a layer on its own: blocks say theirs in their settings.
const NO_DROP: f64 = 0.0;

pub(super) fn attention(case: &mut Case<'_>, imported: &ImportedAttention) -> Run<()> {
    let mut store = case.store();
    let layer = Skmdpa::new(
        store.root(),
        imported.state_dim,
        imported.code_dim,
        &imported.config,
        &ModFcConfig::default(),
        DropPath::new("drop_path", imported.drop_path)?,
    )?;
    case.load(&mut store)?;
    let inputs = case.inputs()?;
    let (receivers, senders) = (modules(&inputs, "receiver")?, modules(&inputs, "sender")?);
    let y = layer.forward(&receivers, &senders, &mut case.pass())?;
    case.noise_is_used()?;
    case.check_squares(&[("y", &y)], &inputs, Some(&store))
}

pub(super) fn propagator(
    case: &mut Case<'_>,
    imported: &ImportedBlock<PropagatorConfig>,
) -> Run<()> {
    let mut store = case.store();
    let (dim, codes) = (imported.state_dim, imported.code_dim);
    let mod_fc = ModFcConfig::default();
    let layer = Propagator::new(store.root(), dim, codes, &imported.config, &mod_fc, NO_DROP)?;
    case.load(&mut store)?;
    let inputs = case.inputs()?;
    let (receivers, senders) = (modules(&inputs, "receiver")?, modules(&inputs, "sender")?);
    let y = layer.forward(&receivers, &senders, &mut case.pass())?;
    case.noise_is_used()?;
    case.check_squares(&[("y", &y)], &inputs, Some(&store))
}

pub(super) fn read_out(case: &mut Case<'_>, imported: &ImportedBlock<ReadOutConfig>) -> Run<()> {
    let mut store = case.store();
    let layer = ReadOut::new(
        store.root(),
        imported.state_dim,
        imported.code_dim,
        imported.output_dim,
        &imported.config,
        &ModFcConfig::default(),
        NO_DROP,
    )?;
    case.load(&mut store)?;
    let inputs = case.inputs()?;
    let (receivers, senders) = (modules(&inputs, "receiver")?, modules(&inputs, "sender")?);
    let y = layer.forward(&receivers, &senders, &mut case.pass())?;
    case.noise_is_used()?;
    case.check_squares(&[("y", &y)], &inputs, Some(&store))
}

pub(super) fn read_in_attention(
    case: &mut Case<'_>,
    imported: &ImportedReadInAttention,
) -> Run<()> {
    let mut store = case.store();
    let layer = ReadInAttention::new(
        store.root(),
        imported.token_dim,
        imported.state_dim,
        imported.code_dim,
        &imported.config,
        &ModFcConfig::default(),
        DropPath::new("drop_path", imported.drop_path)?,
    )?;
    case.load(&mut store)?;
    let inputs = case.inputs()?;
    let tokens = Tokens::new(case.of(&inputs, "sender_states")?.shallow_clone())?;
    let y = layer.forward(&modules(&inputs, "receiver")?, &tokens, &mut case.pass())?;
    case.noise_is_used()?;
    case.check_squares(&[("y", &y)], &inputs, Some(&store))
}

pub(super) fn read_in(case: &mut Case<'_>, imported: &ImportedBlock<ReadInConfig>) -> Run<()> {
    let mut store = case.store();
    let layer = ReadIn::new(
        store.root(),
        imported.input_dim,
        imported.state_dim,
        imported.code_dim,
        &imported.config,
        &ModFcConfig::default(),
        NO_DROP,
    )?;
    case.load(&mut store)?;
    let inputs = case.inputs()?;
    let tokens = Tokens::new(case.of(&inputs, "sender_states")?.shallow_clone())?;
    let y = layer.forward(&modules(&inputs, "receiver")?, &tokens, &mut case.pass())?;
    case.noise_is_used()?;
    case.check_squares(&[("y", &y)], &inputs, Some(&store))
}

/// The inputs `<who>_states`, `<who>_signatures` and `<who>_codes`.
fn modules<'t>(inputs: &'t BTreeMap<String, Tensor>, who: &str) -> Run<ModuleStates<'t>> {
    let input = |what: &str| {
        let name = format!("{who}_{what}");
        let missing = || Stop::Broken(format!("the recording has no `in.{name}`"));
        inputs.get(&name).ok_or_else(missing)
    };
    Ok(ModuleStates {
        states: input("states")?,
        signatures: input("signatures")?,
        codes: input("codes")?,
    })
}
