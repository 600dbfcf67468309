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
use nac_core::model::{ModFcConfig, PropagatorConfig, SkmdpaConfig};

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

/// Widths of states and codes, and what layers share.
pub(crate) struct Loading<'a> {
    pub(crate) state: usize,
    pub(crate) code: usize,
    pub(crate) mod_fc: &'a ModFcConfig,
    pub(crate) backend: Backend,
    pub(crate) wiring: &'a Wiring,
    pub(crate) shared: SharedLinks,
}

impl Loading<'_> {
    /// Tensors `latent_attention` and `ffn`: attention of `receivers` to all of `senders`, then a ModFFN.
    pub(crate) fn propagator(
        &mut self,
        scope: &WeightScope<'_, '_>,
        config: &PropagatorConfig,
        receivers: ModuleView<'_>,
        senders: Senders<'_>,
    ) -> Result<Propagation> {
        let attention = scope.sub("latent_attention");
        let mut layer = self.attention(&attention, &config.attention, receivers, senders)?;
        layer.step.feed_forward = Some(FeedForward::modulated(
            &scope.sub("ffn"),
            (self.state, self.code),
            &config.ffn,
            self.mod_fc,
            receivers.codes,
            self.backend.precision,
        )?);
        Ok(layer)
    }

    /// The attention alone.
    pub(crate) fn attention(
        &mut self,
        scope: &WeightScope<'_, '_>,
        config: &SkmdpaConfig,
        receivers: ModuleView<'_>,
        senders: Senders<'_>,
    ) -> Result<Propagation> {
        let connections = self.connections(scope, config, receivers, senders)?;
        let precision = self.backend.precision;
        let mod_fc = config.mod_fc.as_ref().unwrap_or(self.mod_fc);
        let state = Layout::plain(self.state);
        let inner = Layout::heads(config.heads, config.head_dim);
        let load = |name: &str, layouts: (Layout, Layout), bias: bool| {
            let scope = scope.sub(name);
            Projection::load(&scope, layouts, self.code, bias, mod_fc, precision)
        };
        let key = load("key_compiler", (state, inner), config.qkv_bias)?;
        let value = load("value_compiler", (state, inner), config.qkv_bias)?;
        let exit = load("exit_layer", (inner, state), true)?;
        let receiver_norm = Norm::load(&scope.sub("receiver_layernorm"), self.state)?;
        let sender_norm = if config.share_layernorm {
            receiver_norm.clone()
        } else {
            Norm::load(&scope.sub("sender_layernorm"), self.state)?
        };
        let (query_precision, layout) = match &connections {
            Connections::Dense(_) => (precision, KeyValueLayout::new(inner, inner, precision)),
            Connections::Sparse(_) => (Precision::F32, KeyValueLayout::items(inner, inner)),
        };
        let query = load("query_compiler", (state, inner), config.qkv_bias)?;
        let queries = match receivers.fixed_states {
            Some(states) => {
                let (scope, inputs) = (scope.sub("query_compiler"), self.state);
                let (outputs, bias) = (inner.features(), config.qkv_bias);
                let raw = Projection::raw(&scope, inputs, outputs, bias, mod_fc.kind)?;
                let normal = receiver_norm.apply_to_items(states);
                let items = query.apply_to_items(&raw, normal.view(), receivers.codes);
                let backend = Backend {
                    precision: query_precision,
                    ..self.backend
                };
                Queries::fixed(items.view(), inner, config.head_dim, &backend)
            }
            None => {
                let modulation = query.modulation(receivers.codes);
                Queries::projected(receiver_norm, query, modulation, config.head_dim)
            }
        };
        let gamma = config.layer_scale.map(|_| layer_scale(scope, self.state));
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
            heads: config.heads,
            connections,
            fold: None,
            exit_modulation: exit.modulation(receivers.codes),
            exit,
            gamma: gamma.transpose()?,
            residual: config.residual,
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
        config: &SkmdpaConfig,
        receivers: ModuleView<'_>,
        senders: Senders<'_>,
    ) -> Result<Connections> {
        let settings = LinkSettings {
            bandwidth: scope.sub("kernel").scalar("bandwidth")?,
            kernel: config.kernel.clone(),
            mask: config.mask_attn_scores_with_affinities,
            scale: config.scale_attention_by_affinities_after_softmax,
            normalize: config.normalize_kernel_along_keys,
        };
        let options = ConnectionOptions {
            wiring: self.wiring,
            precision: self.backend.precision,
            is_propagator: receivers.name == PROCESSORS,
        };
        self.shared.get(options, &settings, receivers, senders)
    }
}
