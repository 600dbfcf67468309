//! Layers between modules, and those that take in tokens.

use nac_core::model::spec::{
    PropagatorSpec, ReadInAttentionSpec, ReadInSpec, ReadOutSpec, SkmdpaSpec,
};
use nac_engine::single::{ModuleArrays, SingleLayer};
use ndarray::Array3;

use super::super::context::Case;
use super::super::error::CaseResult;
use super::arrays::{check, input, weights};

/// Inputs `<who>_states`, `<who>_signatures` and `<who>_codes`.
struct Modules {
    states: Array3<f32>,
    signatures: Array3<f32>,
    codes: Array3<f32>,
}

impl Modules {
    fn read(case: &Case<'_>, who: &str) -> CaseResult<Self> {
        let part = |what: &str| input(case, &format!("{who}_{what}"));
        Ok(Self {
            states: part("states")?,
            signatures: part("signatures")?,
            codes: part("codes")?,
        })
    }

    fn arrays(&self) -> ModuleArrays<'_> {
        ModuleArrays {
            states: self.states.view(),
            signatures: self.signatures.view(),
            codes: self.codes.view(),
        }
    }
}

type Found = nac_engine::Result<Array3<f32>>;

pub(super) fn attention(case: &mut Case<'_>, spec: &SkmdpaSpec) -> CaseResult<()> {
    between(case, |layer, receivers, senders| {
        layer.attention(spec, receivers, senders)
    })
}

pub(super) fn propagator(case: &mut Case<'_>, spec: &PropagatorSpec) -> CaseResult<()> {
    between(case, |layer, receivers, senders| {
        layer.propagator(spec, receivers, senders)
    })
}

pub(super) fn read_out(case: &mut Case<'_>, spec: &ReadOutSpec) -> CaseResult<()> {
    between(case, |layer, receivers, senders| {
        layer.read_out(spec, receivers, senders)
    })
}

fn between(
    case: &mut Case<'_>,
    forward: impl FnOnce(&SingleLayer<'_>, ModuleArrays<'_>, ModuleArrays<'_>) -> Found,
) -> CaseResult<()> {
    let weights = weights(case)?;
    let (receivers, senders) = (
        Modules::read(case, "receiver")?,
        Modules::read(case, "sender")?,
    );
    let layer = SingleLayer::new(&weights);
    let y = forward(&layer, receivers.arrays(), senders.arrays())?;
    check(case, "y", &y)
}

pub(super) fn read_in_attention(case: &mut Case<'_>, spec: &ReadInAttentionSpec) -> CaseResult<()> {
    let weights = weights(case)?;
    let (readers, tokens) = (
        Modules::read(case, "receiver")?,
        input(case, "sender_states")?,
    );
    let layer = SingleLayer::new(&weights);
    let y = layer.read_in_attention(spec, readers.arrays(), tokens.view())?;
    check(case, "y", &y)
}

pub(super) fn read_in(case: &mut Case<'_>, spec: &ReadInSpec) -> CaseResult<()> {
    let weights = weights(case)?;
    let (readers, tokens) = (
        Modules::read(case, "receiver")?,
        input(case, "sender_states")?,
    );
    let layer = SingleLayer::new(&weights);
    let y = layer.read_in(spec, readers.arrays(), tokens.view())?;
    check(case, "y", &y)
}
