//! Stochastic kernel-modulated dot-product attention between modules, in evaluation.
//!
//! `softmax(QKᵀ/√d + log K) V` with links `K` from signatures. Source: paper section on SKMDPA; reference
//! `attention.py`, `KernelModulatedLatentAttention`.

use std::collections::BTreeMap;

use ndarray::ArrayView2;

use super::propagation::Propagation;
use super::step::{InputMixer, Step};
use crate::attention::{
    Attention, ConnectionOptions, Connections, KeyValueLayout, KeyValueProjection, LinkSettings,
    Queries,
};
use crate::backend::{Backend, Precision};
use crate::blocks::Layout;
use crate::connectivity::Wiring;
use crate::error::Result;
use crate::layer::{FeedForward, Norm, Projection, layer_scale};
use crate::weights::WeightScope;
use nac_core::model::spec::{ProjectionSpec, PropagatorSpec, SkmdpaSpec};

/// Name of the processors.
pub(crate) const PROCESSORS: &str = "processors";

/// A set of modules as attention sees it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ModuleView<'a> {
    /// Which modules they are; layers share the links between sets of the same names.
    pub(crate) name: &'static str,
    /// `[modules, signature]`.
    pub(crate) signatures: ArrayView2<'a, f32>,
    /// `[modules, code]`.
    pub(crate) codes: ArrayView2<'a, f32>,
    /// `[modules, state]`, if they do not depend on the input.
    pub(crate) fixed_states: Option<ArrayView2<'a, f32>>,
}

/// The modules that a layer attends to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Senders<'a> {
    pub(crate) read_in: Option<ModuleView<'a>>,
    pub(crate) processors: ModuleView<'a>,
}

/// Links that layers share because their kernels are the same.
#[derive(Debug, Default)]
pub(crate) struct SharedLinks(BTreeMap<String, Connections>);

impl SharedLinks {
    fn get(
        &mut self,
        options: ConnectionOptions<'_>,
        settings: &LinkSettings,
        receivers: ModuleView<'_>,
        senders: Senders<'_>,
    ) -> Result<Connections> {
        let senders = senders.read_in.into_iter().chain([senders.processors]);
        let (names, signatures): (Vec<_>, Vec<_>) =
            senders.map(|set| (set.name, set.signatures)).unzip();
        let key = format!("{} {names:?} {settings:?}", receivers.name);
        if let Some(known) = self.0.get(&key) {
            return Ok(known.clone());
        }
        let new = Connections::new(options, settings, receivers.signatures, &signatures)?;
        self.0.insert(key, new.clone());
        Ok(new)
    }
}

/// What layers share.
pub(crate) struct Loading<'a> {
    pub(crate) backend: Backend,
    pub(crate) wiring: &'a Wiring,
    pub(crate) shared: SharedLinks,
}

impl Loading<'_> {
    /// The propagator of `spec`: attention of `receivers` to all of `senders`, then a ModFFN.
    pub(crate) fn propagator(
        &mut self,
        scope: &WeightScope<'_, '_>,
        spec: &PropagatorSpec,
        receivers: ModuleView<'_>,
        senders: Senders<'_>,
    ) -> Result<Propagation> {
        if let Some(target) = &spec.shares {
            scope.alias(&spec.path, target);
        }
        let mut layer = self.attention(scope, &spec.attention, receivers, senders)?;
        layer.step.feed_forward = Some(FeedForward::modulated(
            scope,
            &spec.ffn,
            receivers.codes,
            self.backend.precision,
        )?);
        Ok(layer)
    }

    /// The attention alone.
    pub(crate) fn attention(
        &mut self,
        scope: &WeightScope<'_, '_>,
        spec: &SkmdpaSpec,
        receivers: ModuleView<'_>,
        senders: Senders<'_>,
    ) -> Result<Propagation> {
        let connections = self.connections(scope, spec, receivers, senders)?;
        let precision = self.backend.precision;
        let state = Layout::plain(spec.receiver_norm.dim);
        let inner = Layout::heads(spec.heads, spec.head_dim);
        let load = |spec: &ProjectionSpec, layouts: (Layout, Layout)| {
            Projection::load(scope, spec, layouts, precision)
        };
        let key = load(&spec.key, (state, inner))?;
        let value = load(&spec.value, (state, inner))?;
        let exit = load(&spec.exit, (inner, state))?;
        let receiver_norm = Norm::of(scope, &spec.receiver_norm)?;
        let sender_norm = match &spec.sender_norm {
            Some(norm) => Norm::of(scope, norm)?,
            None => receiver_norm.clone(),
        };
        let (query_precision, layout) = match &connections {
            Connections::Dense(_) => (precision, KeyValueLayout::new(inner, inner, precision)),
            Connections::Sparse(_) => (Precision::F32, KeyValueLayout::items(inner, inner)),
        };
        let query = load(&spec.query, (state, inner))?;
        let queries = match receivers.fixed_states {
            Some(states) => {
                let raw = Projection::raw(scope, &spec.query)?;
                let normal = receiver_norm.apply_to_items(states);
                let items = query.apply_to_items(&raw, normal.view(), receivers.codes);
                let backend = Backend {
                    precision: query_precision,
                    ..self.backend
                };
                Queries::fixed(items.view(), inner, spec.head_dim, &backend)
            }
            None => {
                let modulation = query.modulation(receivers.codes);
                Queries::projected(receiver_norm, query, modulation, spec.head_dim)
            }
        };
        let stored = |set: ModuleView<'_>| KeyValueProjection {
            norm: sender_norm.clone(),
            key_modulation: key.modulation(set.codes),
            value_modulation: value.modulation(set.codes),
            key: key.clone(),
            value: value.clone(),
            layout,
        };
        let attention = Attention {
            queries,
            keys: inner,
            values: inner,
            heads: spec.heads,
            connections,
            fold: None,
            exit_modulation: exit.modulation(receivers.codes),
            exit,
            gamma: layer_scale(scope, &spec.residual)?,
            residual: spec.residual.add,
        };
        Ok(Propagation {
            read_in: senders.read_in.map(stored),
            processors: stored(senders.processors),
            step: Step {
                input_mixer: InputMixer::Attention(Box::new(attention)),
                feed_forward: None,
            },
        })
    }

    fn connections(
        &mut self,
        scope: &WeightScope<'_, '_>,
        spec: &SkmdpaSpec,
        receivers: ModuleView<'_>,
        senders: Senders<'_>,
    ) -> Result<Connections> {
        let settings = LinkSettings {
            bandwidth: scope.sub(&spec.kernel.path).scalar("bandwidth")?,
            kernel: spec.kernel.config.clone(),
            mask: spec.mask,
            scale: spec.scale,
            normalize: spec.normalize,
        };
        let options = ConnectionOptions {
            wiring: self.wiring,
            precision: self.backend.precision,
            is_propagator: receivers.name == PROCESSORS,
        };
        self.shared.get(options, &settings, receivers, senders)
    }
}
