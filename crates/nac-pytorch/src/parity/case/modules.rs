//! Layers between modules: attention, propagator and read-out; and those that take in tokens.

use std::collections::BTreeMap;

use nac_core::model::spec::{
    PropagatorSpec, ReadInAttentionSpec, ReadInSpec, ReadOutSpec, SkmdpaSpec,
};
use nac_modules::attention::{ReadInAttention, Skmdpa};
use nac_modules::circuit::{ModuleStates, Propagator, ReadIn, ReadOut};
use nac_modules::context::ForwardContext;
use nac_modules::params::ParamStore;
use nac_modules::{Result, Tokens};
use tch::Tensor;

use super::context::Case;
use super::error::{CaseError, CaseResult};

pub(super) fn attention(case: &mut Case<'_>, spec: &SkmdpaSpec) -> CaseResult<()> {
    let mut store = case.store();
    let layer = Skmdpa::new(&mut store.root(), spec)?;
    between_modules(case, store, |receivers, senders, ctx| {
        layer.forward(receivers, senders, ctx)
    })?;
    case.expect_fused(spec)
}

pub(super) fn propagator(case: &mut Case<'_>, spec: &PropagatorSpec) -> CaseResult<()> {
    let mut store = case.store();
    let layer = Propagator::new(&mut store.root(), spec)?;
    between_modules(case, store, |receivers, senders, ctx| {
        layer.forward(receivers, senders, ctx)
    })?;
    case.expect_fused(spec)
}

pub(super) fn read_out(case: &mut Case<'_>, spec: &ReadOutSpec) -> CaseResult<()> {
    let mut store = case.store();
    let layer = ReadOut::new(&mut store.root(), spec)?;
    between_modules(case, store, |receivers, senders, ctx| {
        layer.forward(receivers, senders, ctx)
    })?;
    case.expect_fused(&spec.propagator)
}

pub(super) fn read_in_attention(case: &mut Case<'_>, spec: &ReadInAttentionSpec) -> CaseResult<()> {
    let mut store = case.store();
    let layer = ReadInAttention::new(&mut store.root(), spec)?;
    from_tokens(case, store, |receivers, tokens, ctx| {
        layer.forward(receivers, tokens, ctx)
    })?;
    case.expect_fused(spec)
}

pub(super) fn read_in(case: &mut Case<'_>, spec: &ReadInSpec) -> CaseResult<()> {
    let mut store = case.store();
    let layer = ReadIn::new(&mut store.root(), spec)?;
    from_tokens(case, store, |receivers, tokens, ctx| {
        layer.forward(receivers, tokens, ctx)
    })?;
    case.expect_fused(spec)
}

/// Loads and runs a layer from senders to receivers, and compares what it gives.
fn between_modules(
    case: &mut Case<'_>,
    mut store: ParamStore,
    forward: impl FnOnce(
        &ModuleStates<'_>,
        &ModuleStates<'_>,
        &mut ForwardContext<'_>,
    ) -> Result<Tensor>,
) -> CaseResult<()> {
    case.load(&mut store)?;
    let inputs = case.inputs()?;
    let (receivers, senders) = (modules(&inputs, "receiver")?, modules(&inputs, "sender")?);
    let y = forward(&receivers, &senders, &mut case.pass())?;
    case.noise_is_used()?;
    case.check_squares(&[("y", &y)], &inputs, Some(&store))
}

/// Loads and runs a layer that reads tokens, and compares what it gives.
fn from_tokens(
    case: &mut Case<'_>,
    mut store: ParamStore,
    forward: impl FnOnce(&ModuleStates<'_>, &Tokens, &mut ForwardContext<'_>) -> Result<Tensor>,
) -> CaseResult<()> {
    case.load(&mut store)?;
    let inputs = case.inputs()?;
    let tokens = Tokens::new(case.of(&inputs, "sender_states")?.shallow_clone())?;
    let y = forward(&modules(&inputs, "receiver")?, &tokens, &mut case.pass())?;
    case.noise_is_used()?;
    case.check_squares(&[("y", &y)], &inputs, Some(&store))
}

/// The inputs `<who>_states`, `<who>_signatures` and `<who>_codes`.
fn modules<'t>(inputs: &'t BTreeMap<String, Tensor>, who: &str) -> CaseResult<ModuleStates<'t>> {
    let input = |what: &str| {
        let name = format!("{who}_{what}");
        let missing = || CaseError::Broken(format!("the golden has no `in.{name}`"));
        inputs.get(&name).ok_or_else(missing)
    };
    Ok(ModuleStates {
        shared_states: None,
        states: input("states")?,
        signatures: input("signatures")?,
        codes: input("codes")?,
    })
}
