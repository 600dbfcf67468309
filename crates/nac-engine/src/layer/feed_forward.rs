//! Feed-forward block: layer norm, projection, GELU or GEGLU, projection, residual.
//!
//! ModFFN of a circuit (reference `utils.py`) and the plain one of Perceiver IO. A block of 32 modules goes through
//! the whole of it at once, so hidden features never leave the cache.

use ndarray::ArrayView2;

use super::{Modulation, Norm, Precision, Projection, Target, Tools};
use crate::blocks::{Blocks, Layout};
use crate::error::Result;
use crate::simd::Row;
use crate::simd::activation::Activate;
use crate::team::{Room, Scratch};
use crate::weights::Scope;
use nac_core::model::{Activation, ModFcConfig, ModFfnConfig};

/// A feed-forward block with the modulation of its modules.
#[derive(Debug, Clone)]
pub(crate) struct FeedForward {
    norm: Norm,
    value: Projection,
    gate: Option<Projection>,
    expand: Modulations,
    contract: Projection,
    contract_modulation: Modulation,
    gamma: Option<Vec<f32>>,
    residual: bool,
}

/// Of the first projection: value and gate have one factor on their inputs, and each its own on its outputs.
#[derive(Debug, Clone)]
struct Modulations {
    input: Option<Blocks>,
    value: Modulation,
    gate: Modulation,
}

impl FeedForward {
    /// A ModFFN: tensors `layernorm`, `ffn.0`, `ffn.2`, `layer_scale`. Codes: `[modules, code]`.
    pub(crate) fn modulated(
        scope: &Scope<'_, '_>,
        (state, code): (usize, usize),
        config: &ModFfnConfig,
        mod_fc: &ModFcConfig,
        codes: ArrayView2<'_, f32>,
        precision: Precision,
    ) -> Result<Self> {
        let hidden = config.hidden_dim(state)?;
        let mod_fc = config.mod_fc.as_ref().unwrap_or(mod_fc);
        let ffn = |place: usize| scope.sub(format!("ffn.{place}"));
        let gated = config.activation == Activation::Geglu;
        let wide = Layout::plain(hidden * config.activation.width_factor());
        let input = Layout::plain(state);
        let raw = Projection::raw(&ffn(0), state, wide.features(), true, mod_fc.kind)?;
        let kind = Projection::kind(&ffn(0), &raw, state, code, mod_fc)?;
        let (factor, output) = kind.factors(codes);
        let part = |index: usize| {
            let rows = index * hidden..(index + 1) * hidden;
            let weight = &raw.weight[rows.start * state..rows.end * state];
            let bias = raw.bias.as_ref().map(|bias| &bias[rows.clone()]);
            let layouts = (input, Layout::plain(hidden));
            let output = output.as_ref().map(|output| {
                let columns = output.slice(ndarray::s![.., rows.clone()]);
                Blocks::from_items(columns, Layout::plain(hidden))
            });
            let modulation = Modulation {
                input: None,
                output,
            };
            (Projection::of(weight, bias, layouts, precision), modulation)
        };
        let (value, value_modulation) = part(0);
        let (gate, gate_modulation) = if gated {
            let (gate, modulation) = part(1);
            (Some(gate), modulation)
        } else {
            (None, Modulation::default())
        };
        let layouts = (Layout::plain(hidden), input);
        let contract = Projection::load(&ffn(2), layouts, code, true, mod_fc, precision)?;
        let gamma = config.layer_scale.map(|_| layer_scale(scope, state));
        Ok(Self {
            norm: Norm::load(&scope.sub("layernorm"), state)?,
            value,
            gate,
            expand: Modulations {
                input: factor.map(|x| Blocks::from_items(x.view(), input)),
                value: value_modulation,
                gate: gate_modulation,
            },
            contract_modulation: contract.modulation(codes),
            contract,
            gamma: gamma.transpose()?,
            residual: config.residual,
        })
    }

    /// A plain one with GEGLU: tensors `norm`, `fn.net.0`, `fn.net.2`.
    pub(crate) fn plain(
        scope: &Scope<'_, '_>,
        state: usize,
        hidden: usize,
        precision: Precision,
    ) -> Result<Self> {
        let net = scope.sub("fn.net");
        let first = net.sub(0);
        let weight = first.tensor("weight", &[2 * hidden, state])?;
        let bias = first.tensor("bias", &[2 * hidden])?;
        let (input, middle) = (Layout::plain(state), Layout::plain(hidden));
        let part = |index: usize| {
            let weight = &weight[index * hidden * state..][..hidden * state];
            let bias = &bias[index * hidden..][..hidden];
            Projection::of(weight, Some(bias), (input, middle), precision)
        };
        Ok(Self {
            norm: Norm::load(&scope.sub("norm"), state)?,
            value: part(0),
            gate: Some(part(1)),
            expand: Modulations {
                input: None,
                value: Modulation::default(),
                gate: Modulation::default(),
            },
            contract: Projection::plain(&net.sub(2), (middle, input), true, precision)?,
            contract_modulation: Modulation::default(),
            gamma: None,
            residual: true,
        })
    }

    pub(crate) fn room(&self) -> Room {
        let (state, hidden) = (self.value.input_rows(), self.contract.input_rows());
        Room {
            normal: state,
            operand: state.max(hidden),
            hidden,
            ..Room::default()
        }
    }

    /// Changes the states of some blocks, the first of which is block `first`.
    pub(crate) fn apply(
        &self,
        tools: &Tools,
        first: usize,
        states: &mut [Row],
        scratch: &mut Scratch,
    ) {
        let normal = &mut scratch.normal[..states.len()];
        self.norm.apply(tools, states, normal);
        let count = states.len() / self.value.input_rows();
        let blocks = (first, count);
        let factor = self.expand.input.as_ref().map(|m| m.range(first, count));
        let operand = self
            .value
            .operand(tools, normal, factor, &mut scratch.operand);
        let outputs = self.contract.input_rows();
        let hidden = &mut scratch.hidden[..count * outputs];
        tools.arch.dispatch(Activate {
            value: self.value.branch(operand, &self.expand.value, blocks),
            gate: self
                .gate
                .as_ref()
                .map(|gate| gate.branch(operand, &self.expand.gate, blocks)),
            outputs,
            y: hidden,
        });
        let target = Target {
            y: states,
            stride: self.contract.output_rows(),
            gamma: self.gamma.as_deref(),
            add: self.residual,
        };
        let modulation = &self.contract_modulation;
        let room = &mut scratch.operand;
        self.contract
            .apply(tools, modulation, first, hidden, room, target);
    }
}

/// `layer_scale.gamma`, one for each row of the states.
pub(crate) fn layer_scale(scope: &Scope<'_, '_>, state: usize) -> Result<Vec<f32>> {
    let mut gamma = scope.sub("layer_scale").tensor("gamma", &[state])?.to_vec();
    gamma.resize(Layout::plain(state).rows(), 0.0);
    Ok(gamma)
}
