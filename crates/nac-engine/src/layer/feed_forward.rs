//! Feed-forward block: layer norm, projection, GELU or GEGLU, projection, residual.
//!
//! ModFFN of a circuit (reference `utils.py`) and the plain one of Perceiver IO. A block of 32 modules goes through
//! the whole of it at once, so hidden features never leave the cache.

use ndarray::ArrayView2;

use super::norm::Norm;
use super::projection::{Modulation, Projection, Target};
use crate::backend::{Backend, Precision};
use crate::blocks::Layout;
use crate::error::Result;
use crate::scratch::{Scratch, ScratchSize};
use crate::simd::Row;
use crate::weights::WeightScope;
use nac_core::model::{Activation, ModFcConfig, ModFfnConfig};

/// A feed-forward block with the modulation of its modules.
#[derive(Debug, Clone)]
pub(crate) struct FeedForward {
    norm: Norm,
    /// To hidden values, and to as many gates behind them if `gated`.
    expand: Projection,
    expand_modulation: Modulation,
    gated: bool,
    contract: Projection,
    contract_modulation: Modulation,
    gamma: Option<Vec<f32>>,
    residual: bool,
}

impl FeedForward {
    /// A ModFFN: tensors `layernorm`, `ffn.0`, `ffn.2`, `layer_scale`. Codes: `[modules, code]`.
    pub(crate) fn modulated(
        scope: &WeightScope<'_, '_>,
        (state, code): (usize, usize),
        config: &ModFfnConfig,
        mod_fc: &ModFcConfig,
        codes: ArrayView2<'_, f32>,
        precision: Precision,
    ) -> Result<Self> {
        let hidden = config.hidden_dim(state)?;
        let mod_fc = config.mod_fc.as_ref().unwrap_or(mod_fc);
        let load = |layer: usize, layouts: (Layout, Layout)| {
            let scope = scope.sub(format!("ffn.{layer}"));
            Projection::load(&scope, layouts, code, true, mod_fc, precision)
        };
        let (narrow, wide) = (Layout::plain(state), Layout::plain(hidden));
        let expanded = Layout::heads(config.activation.width_factor(), hidden);
        let (expand, contract) = (load(0, (narrow, expanded))?, load(2, (wide, narrow))?);
        let gamma = config.layer_scale.map(|_| layer_scale(scope, state));
        Ok(Self {
            norm: Norm::load(&scope.sub("layernorm"), state)?,
            expand_modulation: expand.modulation(codes),
            expand,
            gated: config.activation == Activation::Geglu,
            contract_modulation: contract.modulation(codes),
            contract,
            gamma: gamma.transpose()?,
            residual: config.residual,
        })
    }

    /// A plain one with GEGLU: tensors `norm`, `fn.net.0`, `fn.net.2`.
    pub(crate) fn plain(
        scope: &WeightScope<'_, '_>,
        state: usize,
        hidden: usize,
        precision: Precision,
    ) -> Result<Self> {
        let net = scope.sub("fn.net");
        let (narrow, wide) = (Layout::plain(state), Layout::plain(hidden));
        let expanded = (narrow, Layout::heads(2, hidden));
        Ok(Self {
            norm: Norm::load(&scope.sub("norm"), state)?,
            expand: Projection::plain(&net.sub(0), expanded, true, precision)?,
            expand_modulation: Modulation::default(),
            gated: true,
            contract: Projection::plain(&net.sub(2), (wide, narrow), true, precision)?,
            contract_modulation: Modulation::default(),
            gamma: None,
            residual: true,
        })
    }

    pub(crate) fn scratch_size(&self) -> ScratchSize {
        let (state, hidden) = (self.expand.input_rows(), self.contract.input_rows());
        ScratchSize {
            normal: state,
            operand: state.max(hidden),
            hidden,
            ..ScratchSize::default()
        }
    }

    /// Updates the states of some blocks, the first of which is block `first`.
    pub(crate) fn apply(
        &self,
        backend: &Backend,
        first: usize,
        states: &mut [Row],
        scratch: &mut Scratch,
    ) {
        let normal = &mut scratch.normal[..states.len()];
        self.norm.apply(backend, states, normal);
        let count = states.len() / self.expand.input_rows();
        let hidden = &mut scratch.hidden[..count * self.contract.input_rows()];
        let (modulation, operand) = (&self.expand_modulation, &mut scratch.operand);
        let output = (&mut *hidden, self.gated);
        (self.expand).activate(backend, modulation, first, normal, operand, output);
        let target = Target {
            y: states,
            stride: self.contract.output_rows(),
            gamma: self.gamma.as_deref(),
            add: self.residual,
        };
        let modulation = &self.contract_modulation;
        (self.contract).apply(backend, modulation, first, hidden, operand, target);
    }
}

/// `layer_scale.gamma`, one for each row of the states.
pub(crate) fn layer_scale(scope: &WeightScope<'_, '_>, state: usize) -> Result<Vec<f32>> {
    let mut gamma = scope.sub("layer_scale").tensor("gamma", &[state])?.to_vec();
    gamma.resize(Layout::plain(state).rows(), 0.0);
    Ok(gamma)
}
