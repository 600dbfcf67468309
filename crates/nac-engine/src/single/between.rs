//! Layers from modules to modules: attention by links, propagator, read-out.

use ndarray::{Array3, ArrayView2, ArrayView3, ArrayViewMut2};

use super::SingleLayer;
use super::example::{ModuleArrays, of};
use crate::attention::{Heard, Senders};
use crate::blocks::{Blocks, Layout, to_items};
use crate::circuit::read_out::{self, OutputProjection};
use crate::circuit::skmdpa::{Loading, SharedLinks, Side};
use crate::circuit::{ReadOut, Step, propagation};
use crate::connectivity::Wiring;
use crate::error::{EngineError, Result};
use crate::layer::Tools;
use crate::simd::Row;
use crate::team::Scratch;
use crate::weights::Scope;
use nac_core::model::{PropagatorConfig, ReadOutConfig, SkmdpaConfig};

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
    /// The shapes do not fit, a setting needs noise, or a tensor is missing, has another shape or no place.
    pub fn attention(
        &self,
        config: &SkmdpaConfig,
        receivers: ModuleArrays<'_>,
        senders: ModuleArrays<'_>,
    ) -> Result<Array3<f32>> {
        let pair = Pair {
            op: "SingleLayer::attention",
            receivers,
            senders,
            fixed: false,
        };
        let outputs = receivers.states.dim().2;
        self.between(pair, outputs, |scope, loading, receivers, senders| {
            let (stored, uptake) = loading.attention(scope, config, receivers, senders)?;
            let step = Step {
                uptake,
                feed_forward: None,
            };
            Ok((stored, step, None))
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
        config: &PropagatorConfig,
        receivers: ModuleArrays<'_>,
        senders: ModuleArrays<'_>,
    ) -> Result<Array3<f32>> {
        let pair = Pair {
            op: "SingleLayer::propagator",
            receivers,
            senders,
            fixed: false,
        };
        let outputs = receivers.states.dim().2;
        self.between(pair, outputs, |scope, loading, receivers, senders| {
            let (stored, step) = loading.propagator(scope, config, receivers, senders)?;
            Ok((stored, step, None))
        })
    }

    /// A read-out: attention whose queries are computed when a model is loaded, a ModFFN, and a projection to `outputs`
    /// features if the settings have one. Tensors below `latent_attention`, `ffn` and `head`.
    ///
    /// # Shapes
    /// - receivers, senders: as in [`ModuleArrays`]
    /// - result: `[batch, receivers, outputs]`, or `[batch, receivers, state]` without a projection
    ///
    /// # Errors
    /// As [`attention`](Self::attention).
    pub fn read_out(
        &self,
        config: &ReadOutConfig,
        outputs: usize,
        receivers: ModuleArrays<'_>,
        senders: ModuleArrays<'_>,
    ) -> Result<Array3<f32>> {
        let pair = Pair {
            op: "SingleLayer::read_out",
            receivers,
            senders,
            fixed: true,
        };
        let state = receivers.states.dim().2;
        let settings = config.propagator();
        let width = if config.use_head { outputs } else { state };
        self.between(pair, width, |scope, loading, receivers, senders| {
            let (stored, step) = loading.propagator(scope, &settings, receivers, senders)?;
            let projection = config.use_head.then(|| {
                let (codes, tools) = (receivers.codes, self.tools());
                let widths = (state, outputs);
                read_out::projection(scope, widths, config, &self.mod_fc, codes, &tools)
            });
            Ok((stored, step, projection.transpose()?))
        })
    }

    fn between(
        &self,
        pair: Pair<'_, '_>,
        outputs: usize,
        load: impl for<'s> Fn(&Scope<'_, '_>, &mut Loading<'_>, Side<'s>, &[Side<'s>]) -> Result<Loaded>,
    ) -> Result<Array3<f32>> {
        let Pair {
            receivers, senders, ..
        } = pair;
        pair.check()?;
        let (batch, modules, state) = receivers.states.dim();
        let shared = receivers.are_shared() && senders.are_shared() && !pair.fixed;
        let tools = self.tools();
        self.each_example(
            (batch, modules, outputs),
            shared,
            |scope, example| {
                let mut loading = Loading {
                    state,
                    code: receivers.codes.dim().2,
                    mod_fc: &self.mod_fc,
                    tools,
                    wiring: &Wiring::PLAIN,
                    shared: SharedLinks::default(),
                };
                let signatures = of(&receivers.signatures, example);
                let codes = of(&receivers.codes, example);
                let states = of(&receivers.states, example);
                let receiving = Side {
                    name: "receivers",
                    signatures,
                    codes,
                    fixed_states: pair.fixed.then_some(states),
                };
                let sending = Side {
                    name: "senders",
                    signatures: of(&senders.signatures, example),
                    codes: of(&senders.codes, example),
                    fixed_states: None,
                };
                let loaded = load(scope, &mut loading, receiving, &[sending])?;
                let (stored, step, projection) = loaded;
                Ok(ReadOut {
                    layer: propagation(stored, step)?,
                    initial: Blocks::from_items(states, Layout::plain(state)),
                    count: modules,
                    projection,
                })
            },
            |layer, example, out| {
                let states = of(&receivers.states, example);
                run(&tools, layer, states, of(&senders.states, example), out);
            },
        )
    }
}

/// Stored senders, the step of the receivers, and the projection of what it gives.
type Loaded = (Vec<Senders>, Step, Option<OutputProjection>);

/// Who hears whom, and whether queries are computed at loading.
struct Pair<'r, 's> {
    op: &'static str,
    receivers: ModuleArrays<'r>,
    senders: ModuleArrays<'s>,
    fixed: bool,
}

impl Pair<'_, '_> {
    fn check(&self) -> Result<()> {
        let width = |array: &ArrayView3<'_, f32>| array.dim().2;
        let batch = self.receivers.states.dim().0;
        self.receivers.check(self.op, batch)?;
        self.senders.check(self.op, batch)?;
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
    tools: &Tools,
    layer: &ReadOut,
    states: ArrayView2<'_, f32>,
    sender_states: ArrayView2<'_, f32>,
    out: ArrayViewMut2<'_, f32>,
) {
    let (senders, step) = (&layer.layer.senders, &layer.layer.step);
    let room = step.room().or(senders.room()).or(layer.room());
    let mut scratch = Scratch::new(room);
    let spoken = Blocks::from_items(sender_states, Layout::plain(sender_states.ncols()));
    let mut stored = vec![Row::ZERO; spoken.count() * senders.store.rows()];
    for (block, stored) in stored.chunks_exact_mut(senders.store.rows()).enumerate() {
        senders.put(tools, block, spoken.block(block), stored, &mut scratch);
    }
    let heard = [Heard {
        stored: &stored,
        store: senders.store,
        items: sender_states.nrows(),
        mask: None,
    }];
    let mut states = Blocks::from_items(states, Layout::plain(states.ncols()));
    let rows = layer.output_rows();
    let mut outputs = vec![Row::ZERO; states.count() * rows];
    for (block, output) in outputs.chunks_exact_mut(rows).enumerate() {
        let states = states.block_mut(block);
        step.apply(tools, block, states, &heard, &mut scratch);
        layer.finish(tools, block, states, output, &mut scratch);
    }
    to_items(&outputs, rows, out);
}
