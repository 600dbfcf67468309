//! Layers from modules to modules: attention by links, propagator, read-out.

use ndarray::{Array3, ArrayView2, ArrayView3, ArrayViewMut2};

use super::SingleLayer;
use super::example::{ModuleArrays, expect_features, of};
use crate::attention::KeyValues;
use crate::backend::Backend;
use crate::blocks::{Blocks, Layout, to_items};
use crate::circuit::read_out::{self, OutputProjection};
use crate::circuit::skmdpa::{Loading, ModuleView, Senders, SharedLinks};
use crate::circuit::{Propagation, ReadOut};
use crate::connectivity::Wiring;
use crate::error::{EngineError, Result};
use crate::scratch::Scratch;
use crate::simd::Row;
use crate::weights::WeightScope;
use nac_core::model::spec::{PropagatorSpec, ReadOutSpec, SkmdpaSpec};

impl SingleLayer<'_> {
    /// Attention of receivers to senders, as strong as the links between their signatures (SKMDPA).
    ///
    /// Tensors `receiver_layernorm`, `sender_layernorm`, `query_compiler`, `key_compiler`, `value_compiler`,
    /// `exit_layer`, `kernel.bandwidth`, `layer_scale`.
    ///
    /// # Shapes
    /// - receivers, senders: as in [`ModuleArrays`]
    /// - result: `[batch, receivers, state]`
    ///
    /// # Errors
    /// The shapes do not fit, a setting needs noise, or a tensor is missing, has another shape or is not used.
    pub fn attention(
        &self,
        spec: &SkmdpaSpec,
        receivers: ModuleArrays<'_>,
        senders: ModuleArrays<'_>,
    ) -> Result<Array3<f32>> {
        let pair = Pair {
            op: "SingleLayer::attention",
            receivers,
            senders,
            fixed: false,
            attention: spec,
        };
        let outputs = receivers.states.dim().2;
        self.between(pair, outputs, |scope, loading, receivers, senders| {
            Ok((loading.attention(scope, spec, receivers, senders)?, None))
        })
    }

    /// A propagator: attention, then a ModFFN. Tensors below `latent_attention` and `ffn`.
    ///
    /// # Shapes
    /// - receivers, senders: as in [`ModuleArrays`]
    /// - result: `[batch, receivers, state]`
    ///
    /// # Errors
    /// As [`attention`](Self::attention).
    pub fn propagator(
        &self,
        spec: &PropagatorSpec,
        receivers: ModuleArrays<'_>,
        senders: ModuleArrays<'_>,
    ) -> Result<Array3<f32>> {
        let pair = Pair {
            op: "SingleLayer::propagator",
            receivers,
            senders,
            fixed: false,
            attention: &spec.attention,
        };
        let outputs = receivers.states.dim().2;
        self.between(pair, outputs, |scope, loading, receivers, senders| {
            Ok((loading.propagator(scope, spec, receivers, senders)?, None))
        })
    }

    /// A read-out: attention whose queries are computed when a model is loaded, a ModFFN, and a projection if the
    /// spec has one. Tensors below `latent_attention`, `ffn` and `head`.
    ///
    /// # Shapes
    /// - receivers, senders: as in [`ModuleArrays`]
    /// - result: `[batch, receivers, outputs]`, or `[batch, receivers, state]` without a projection
    ///
    /// # Errors
    /// As [`attention`](Self::attention).
    pub fn read_out(
        &self,
        spec: &ReadOutSpec,
        receivers: ModuleArrays<'_>,
        senders: ModuleArrays<'_>,
    ) -> Result<Array3<f32>> {
        let pair = Pair {
            op: "SingleLayer::read_out",
            receivers,
            senders,
            fixed: true,
            attention: &spec.propagator.attention,
        };
        let width = spec.output_dim;
        self.between(pair, width, |scope, loading, receivers, senders| {
            let layer = loading.propagator(scope, &spec.propagator, receivers, senders)?;
            let projection = spec
                .projection
                .as_ref()
                .map(|spec| read_out::projection(scope, spec, receivers.codes, &self.backend()));
            Ok((layer, projection.transpose()?))
        })
    }

    fn between(
        &self,
        pair: Pair<'_, '_, '_>,
        outputs: usize,
        load: impl Fn(
            &WeightScope<'_, '_>,
            &mut Loading<'_>,
            ModuleView<'_>,
            Senders<'_>,
        ) -> Result<Loaded>,
    ) -> Result<Array3<f32>> {
        let Pair {
            receivers, senders, ..
        } = pair;
        pair.check()?;
        let (batch, modules, state) = receivers.states.dim();
        let shared = receivers.are_shared() && senders.are_shared() && !pair.fixed;
        let backend = self.backend();
        self.each_example(
            (batch, modules, outputs),
            shared,
            |scope, example| {
                let mut loading = Loading {
                    backend,
                    wiring: &Wiring::PLAIN,
                    shared: SharedLinks::default(),
                };
                let signatures = of(&receivers.signatures, example);
                let codes = of(&receivers.codes, example);
                let states = of(&receivers.states, example);
                let receiving = ModuleView {
                    name: "receivers",
                    signatures,
                    codes,
                    fixed_states: pair.fixed.then_some(states),
                };
                let sending = ModuleView {
                    name: "senders",
                    signatures: of(&senders.signatures, example),
                    codes: of(&senders.codes, example),
                    fixed_states: None,
                };
                let senders = Senders {
                    read_in: None,
                    processors: sending,
                };
                let (layer, projection) = load(scope, &mut loading, receiving, senders)?;
                Ok(ReadOut {
                    layer,
                    initial: Blocks::from_items(states, Layout::plain(state)),
                    count: modules,
                    projection,
                })
            },
            |layer, example, out| {
                let states = of(&receivers.states, example);
                run(&backend, layer, states, of(&senders.states, example), out);
            },
        )
    }
}

/// The layer, and the projection of its outputs.
type Loaded = (Propagation, Option<OutputProjection>);

/// Receivers and senders, and whether queries are computed at loading.
struct Pair<'r, 's, 'c> {
    op: &'static str,
    receivers: ModuleArrays<'r>,
    senders: ModuleArrays<'s>,
    fixed: bool,
    attention: &'c SkmdpaSpec,
}

impl Pair<'_, '_, '_> {
    fn check(&self) -> Result<()> {
        let width = |array: &ArrayView3<'_, f32>| array.dim().2;
        let batch = self.receivers.states.dim().0;
        self.receivers.check(self.op, batch)?;
        self.senders.check(self.op, batch)?;
        let (states, codes) = (self.receivers.states, self.receivers.codes);
        expect_features(self.op, "states", states, self.attention.receiver_norm.dim)?;
        expect_features(self.op, "codes", codes, self.attention.query.code)?;
        let (receivers, senders) = (&self.receivers, &self.senders);
        for (name, of_receivers, of_senders) in [
            ("states", &receivers.states, &senders.states),
            ("codes", &receivers.codes, &senders.codes),
            ("signatures", &receivers.signatures, &senders.signatures),
        ] {
            if width(of_receivers) != width(of_senders) {
                return Err(EngineError::Input {
                    op: self.op,
                    expected: format!("`{name}` of senders of {} features", width(of_receivers)),
                    found: format!("`{name}` {:?}", of_senders.shape()),
                });
            }
        }
        Ok(())
    }
}

fn run(
    backend: &Backend,
    layer: &ReadOut,
    states: ArrayView2<'_, f32>,
    sender_states: ArrayView2<'_, f32>,
    out: ArrayViewMut2<'_, f32>,
) {
    let (senders, step) = (&layer.layer.processors, &layer.layer.step);
    let mut scratch = Scratch::new(layer.scratch_size());
    let sent = Blocks::from_items(sender_states, Layout::plain(sender_states.ncols()));
    let mut stored = vec![Row::ZERO; sent.count() * senders.layout.rows()];
    for (block, stored) in stored.chunks_exact_mut(senders.layout.rows()).enumerate() {
        senders.store(backend, block, sent.block(block), stored, &mut scratch);
    }
    let sources = [KeyValues {
        stored: &stored,
        layout: senders.layout,
        items: sender_states.nrows(),
        mask: None,
    }];
    let mut states = Blocks::from_items(states, Layout::plain(states.ncols()));
    let rows = layer.output_rows();
    let mut outputs = vec![Row::ZERO; states.count() * rows];
    for (block, output) in outputs.chunks_exact_mut(rows).enumerate() {
        let states = states.block_mut(block);
        step.apply(backend, block, states, &sources, &mut scratch);
        layer.finish(backend, block, states, output, &mut scratch);
    }
    to_items(&outputs, rows, out);
}
