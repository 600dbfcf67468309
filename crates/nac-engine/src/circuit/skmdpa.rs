//! Stochastic kernel-modulated dot-product attention between modules, in evaluation.
//!
//! `softmax(QKᵀ/√d + log K) V` with links `K` from signatures. Source: paper section on SKMDPA; reference
//! `attention.py`, `KernelModulatedLatentAttention`.

use std::collections::BTreeMap;

use ndarray::ArrayView2;

use super::step::{Step, Uptake};
use crate::attention::{
    Connections, Lines, LinkSettings, Queries, Receivers, Senders, Store, Wanted,
};
use crate::blocks::Layout;
use crate::connectivity::Wiring;
use crate::error::Result;
use crate::layer::{FeedForward, Norm, Precision, Projection, Tools, layer_scale};
use crate::weights::Scope;
use nac_core::model::{ModFcConfig, PropagatorConfig, SkmdpaConfig};

/// Name of the processors.
pub(crate) const PROCESSORS: &str = "processors";

/// Modules as attention sees them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Side<'a> {
    /// Which modules they are, for links to be shared.
    pub(crate) name: &'static str,
    /// `[modules, signature]`.
    pub(crate) signatures: ArrayView2<'a, f32>,
    /// `[modules, code]`.
    pub(crate) codes: ArrayView2<'a, f32>,
    /// `[modules, state]`, if they do not depend on the input.
    pub(crate) fixed_states: Option<ArrayView2<'a, f32>>,
}

/// Links that layers share because their kernels are the same.
#[derive(Debug, Default)]
pub(crate) struct SharedLinks(BTreeMap<String, Connections>);

impl SharedLinks {
    fn get(
        &mut self,
        wanted: Wanted<'_>,
        settings: &LinkSettings,
        receivers: Side<'_>,
        senders: &[Side<'_>],
    ) -> Result<Connections> {
        let names: Vec<&str> = senders.iter().map(|side| side.name).collect();
        let key = format!("{} {names:?} {settings:?}", receivers.name);
        if let Some(known) = self.0.get(&key) {
            return Ok(known.clone());
        }
        let signatures: Vec<_> = senders.iter().map(|side| side.signatures).collect();
        let new = Connections::new(wanted, settings, receivers.signatures, &signatures)?;
        self.0.insert(key, new.clone());
        Ok(new)
    }
}

/// Widths of states and codes, and what layers share.
pub(crate) struct Loading<'a> {
    pub(crate) state: usize,
    pub(crate) code: usize,
    pub(crate) mod_fc: &'a ModFcConfig,
    pub(crate) tools: Tools,
    pub(crate) wiring: &'a Wiring,
    pub(crate) shared: SharedLinks,
}

impl Loading<'_> {
    /// Tensors `latent_attention` and `ffn`: attention of `receivers` to all of `senders`, then a ModFFN.
    pub(crate) fn propagator(
        &mut self,
        scope: &Scope<'_, '_>,
        config: &PropagatorConfig,
        receivers: Side<'_>,
        senders: &[Side<'_>],
    ) -> Result<(Vec<Senders>, Step)> {
        let attention = scope.sub("latent_attention");
        let (stored, uptake) = self.attention(&attention, &config.attention, receivers, senders)?;
        let feed_forward = FeedForward::modulated(
            &scope.sub("ffn"),
            (self.state, self.code),
            &config.ffn,
            self.mod_fc,
            receivers.codes,
            self.tools.precision,
        )?;
        let step = Step {
            uptake,
            feed_forward: Some(feed_forward),
        };
        Ok((stored, step))
    }

    /// The attention alone.
    pub(crate) fn attention(
        &mut self,
        scope: &Scope<'_, '_>,
        config: &SkmdpaConfig,
        receivers: Side<'_>,
        senders: &[Side<'_>],
    ) -> Result<(Vec<Senders>, Uptake)> {
        let precision = self.tools.precision;
        let mod_fc = config.mod_fc.as_ref().unwrap_or(self.mod_fc);
        let (state, inner) = (
            Layout::plain(self.state),
            Layout::heads(config.heads, config.head_dim),
        );
        let bias = config.qkv_bias;
        let load = |name: &str, layouts: (Layout, Layout), bias: bool| {
            Projection::load(
                &scope.sub(name),
                layouts,
                self.code,
                bias,
                mod_fc,
                precision,
            )
        };
        let query = load("query_compiler", (state, inner), bias)?;
        let key = load("key_compiler", (state, inner), bias)?;
        let value = load("value_compiler", (state, inner), bias)?;
        let exit = load("exit_layer", (inner, state), true)?;
        let receiver_norm = Norm::load(&scope.sub("receiver_layernorm"), self.state)?;
        let sender_norm = if config.share_layernorm {
            receiver_norm.clone()
        } else {
            Norm::load(&scope.sub("sender_layernorm"), self.state)?
        };
        let settings = LinkSettings {
            bandwidth: scope.sub("kernel").scalar("bandwidth")?,
            kernel: config.kernel.clone(),
            mask: config.mask_attn_scores_with_affinities,
            scale: config.scale_attention_by_affinities_after_softmax,
            normalize: config.normalize_kernel_along_keys,
        };
        let wanted = Wanted {
            wiring: self.wiring,
            precision,
            is_propagator: receivers.name == PROCESSORS,
        };
        let connections = self.shared.get(wanted, &settings, receivers, senders)?;
        let (numbers, store) = match &connections {
            Connections::Dense(_) => (precision, Store::new(inner, inner, precision)),
            Connections::Sparse(_) => (Precision::F32, Store::lines(Lines::new(inner, inner))),
        };
        let queries = match receivers.fixed_states {
            Some(states) => {
                let name = scope.sub("query_compiler");
                let raw = Projection::raw(&name, self.state, inner.features(), bias, mod_fc.kind)?;
                let normal = receiver_norm.lines(states);
                let lines = query.lines(&raw, normal.view(), receivers.codes);
                let tools = Tools {
                    precision: numbers,
                    ..self.tools
                };
                Queries::fixed(lines.view(), inner, config.head_dim, &tools)
            }
            None => {
                let modulation = query.modulation(receivers.codes);
                Queries::projected(receiver_norm, query, modulation, config.head_dim)
            }
        };
        let gamma = config.layer_scale.map(|_| layer_scale(scope, self.state));
        let stored = senders
            .iter()
            .map(|side| Senders {
                norm: sender_norm.clone(),
                key_modulation: key.modulation(side.codes),
                value_modulation: value.modulation(side.codes),
                key: key.clone(),
                value: value.clone(),
                store,
            })
            .collect();
        let uptake = Uptake::Attention(Box::new(Receivers {
            queries,
            keys: inner,
            values: inner,
            heads: config.heads,
            links: connections,
            fold: None,
            exit_modulation: exit.modulation(receivers.codes),
            exit,
            gamma: gamma.transpose()?,
            residual: config.residual,
        }));
        Ok((stored, uptake))
    }
}
