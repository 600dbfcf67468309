//! Which blocks of a model run fused, and which setting keeps the others from it.
//!
//! Covered are read-in attention, SKMDPA and ModFFN of modules whose projections are ModFC or plain, with every kernel,
//! mask, residual, drop-path, norm and kind of codes and signatures, shared or per example, and all blocks of Perceiver IO
//! and of the reader of a text. Everything else of a model (tokenizer, head, losses) is libtorch's anyway and not listed.

use nac_core::model::ProjectionKind;
use nac_core::model::spec::{
    BodySpec, CircuitSpec, InputMixerSpec, ModFfnSpec, ModelSpec, PerceiverIoSpec,
    PerceiverLayerSpec, ProjectionSpec, PropagatorSpec, ReadInAttentionSpec, ReadInSpec,
    SkmdpaSpec,
};
use tch::{Device, Kind};

/// Whether a block runs fused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockCoverage {
    /// Path of the block's parameters.
    pub block: String,
    /// The setting because of which it runs on libtorch's layers; `None` if it runs fused.
    pub reason: Option<String>,
}

impl BlockCoverage {
    fn new(path: &str, reason: Option<String>) -> Self {
        Self {
            block: path.to_owned(),
            reason,
        }
    }
}

/// The blocks of a model in order, each with why it is not covered with numbers of `kind` on `device`, if it is not.
#[must_use]
pub fn coverage(model: &ModelSpec, kind: Kind, device: Device) -> Vec<BlockCoverage> {
    let place = match (kind, device) {
        (Kind::Float, Device::Cpu) => None,
        (Kind::Float, device) => Some(format!("device = {device:?}")),
        (kind, _) => Some(format!("numbers = {kind:?}")),
    };
    let mut blocks = model.coverage();
    for block in &mut blocks {
        block.reason = place.clone().or(block.reason.take());
    }
    blocks
}

/// A part of a model that blocks are made of.
pub trait Coverage {
    /// The blocks in order, each with the setting that keeps it from running fused, if there is one.
    fn coverage(&self) -> Vec<BlockCoverage>;
}

impl Coverage for ModelSpec {
    fn coverage(&self) -> Vec<BlockCoverage> {
        match &self.body {
            BodySpec::Nac(circuit) => circuit.coverage(),
            BodySpec::PerceiverIo(perceiver) => perceiver.coverage(),
            BodySpec::StemOnly(_) => Vec::new(),
        }
    }
}

impl Coverage for CircuitSpec {
    fn coverage(&self) -> Vec<BlockCoverage> {
        let propagations = self.propagations.iter().map(|step| &step.propagator);
        let propagators = propagations.chain([&self.read_out.propagator]);
        let condition = self.generator.condition.iter();
        let text = condition.flat_map(|text| text.layers.iter().chain([&text.read]));
        let mut blocks: Vec<_> = text.flat_map(Coverage::coverage).collect();
        blocks.extend(self.read_in.coverage());
        blocks.extend(propagators.flat_map(Coverage::coverage));
        blocks
    }
}

impl Coverage for PerceiverIoSpec {
    fn coverage(&self) -> Vec<BlockCoverage> {
        let layers = [&self.read].into_iter().chain(&self.layers);
        let layers = layers.chain([&self.decode]);
        layers.flat_map(Coverage::coverage).collect()
    }
}

impl Coverage for PerceiverLayerSpec {
    fn coverage(&self) -> Vec<BlockCoverage> {
        let mut blocks = vec![BlockCoverage::new(&self.attention.path, None)];
        let ffn = self.ffn.as_ref();
        blocks.extend(ffn.map(|ffn| BlockCoverage::new(&ffn.path, None)));
        blocks
    }
}

impl Coverage for ReadInSpec {
    fn coverage(&self) -> Vec<BlockCoverage> {
        let mut blocks = match &self.mixer {
            InputMixerSpec::Attention(attention) => attention.coverage(),
            InputMixerSpec::Projection(projection) => {
                let reason = "read_in mixes tokens by projection";
                vec![BlockCoverage::new(&projection.path, Some(reason.into()))]
            }
        };
        blocks.extend(self.ffn.coverage());
        blocks
    }
}

impl Coverage for PropagatorSpec {
    fn coverage(&self) -> Vec<BlockCoverage> {
        let mut blocks = self.attention.coverage();
        blocks.extend(self.ffn.coverage());
        blocks
    }
}

impl Coverage for ReadInAttentionSpec {
    fn coverage(&self) -> Vec<BlockCoverage> {
        vec![BlockCoverage::new(&self.path, reads(self))]
    }
}

impl Coverage for SkmdpaSpec {
    fn coverage(&self) -> Vec<BlockCoverage> {
        vec![BlockCoverage::new(&self.path, attends(self))]
    }
}

impl Coverage for ModFfnSpec {
    fn coverage(&self) -> Vec<BlockCoverage> {
        vec![BlockCoverage::new(&self.path, computes(self))]
    }
}

/// Why read-in attention is not covered.
pub(crate) fn reads(spec: &ReadInAttentionSpec) -> Option<String> {
    projections([&spec.query, &spec.key, &spec.value, &spec.exit])
}

/// Why an attention between modules is not covered.
pub(crate) fn attends(spec: &SkmdpaSpec) -> Option<String> {
    if spec.scale {
        return Some("scale_attention_by_affinities_after_softmax = true".into());
    }
    projections([&spec.query, &spec.key, &spec.value, &spec.exit])
}

/// Why a ModFFN is not covered.
pub(crate) fn computes(spec: &ModFfnSpec) -> Option<String> {
    projections([&spec.expand, &spec.contract])
}

fn projections<const N: usize>(all: [&ProjectionSpec; N]) -> Option<String> {
    let demodulated = |spec: &&ProjectionSpec| spec.mod_fc.kind == ProjectionKind::WModFc;
    let found = all.iter().find(|spec| demodulated(spec));
    found.map(|_| "mod_fc.kind = \"wmod_fc\"".into())
}
