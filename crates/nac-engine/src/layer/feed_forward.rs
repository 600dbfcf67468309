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
use nac_core::model::Activation;
use nac_core::model::spec::{FeedForwardSpec, ModFfnSpec, ResidualSpec};

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
    /// The ModFFN of `spec`. Codes: `[modules, code]`.
    pub(crate) fn modulated(
        scope: &WeightScope<'_, '_>,
        spec: &ModFfnSpec,
        codes: ArrayView2<'_, f32>,
        precision: Precision,
    ) -> Result<Self> {
        if let Some(target) = &spec.shares {
            scope.alias(&spec.path, target);
        }
        let (narrow, wide) = (Layout::plain(spec.norm.dim), Layout::plain(spec.hidden));
        let expanded = Layout::heads(spec.activation.width_factor(), spec.hidden);
        let expand = Projection::load(scope, &spec.expand, (narrow, expanded), precision)?;
        let contract = Projection::load(scope, &spec.contract, (wide, narrow), precision)?;
        Ok(Self {
            norm: Norm::of(scope, &spec.norm)?,
            expand_modulation: expand.modulation(codes),
            expand,
            gated: spec.activation == Activation::Geglu,
            contract_modulation: contract.modulation(codes),
            contract,
            gamma: layer_scale(scope, &spec.residual)?,
            residual: spec.residual.add,
        })
    }

    /// The plain block of `spec`, with GEGLU.
    pub(crate) fn plain(
        scope: &WeightScope<'_, '_>,
        spec: &FeedForwardSpec,
        precision: Precision,
    ) -> Result<Self> {
        let (narrow, wide) = (Layout::plain(spec.norm.dim), Layout::plain(spec.hidden));
        let expanded = (narrow, Layout::heads(2, spec.hidden));
        Ok(Self {
            norm: Norm::of(scope, &spec.norm)?,
            expand: Projection::linear(scope, &spec.expand, expanded, precision)?,
            expand_modulation: Modulation::default(),
            gated: true,
            contract: Projection::linear(scope, &spec.contract, (wide, narrow), precision)?,
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

/// The scale of a branch, one for each row of the states, if there is one.
pub(crate) fn layer_scale(
    scope: &WeightScope<'_, '_>,
    spec: &ResidualSpec,
) -> Result<Option<Vec<f32>>> {
    if spec.layer_scale.is_none() {
        return Ok(None);
    }
    let scope = scope.sub(&spec.path).sub("layer_scale");
    let mut gamma = scope.tensor("gamma", &[spec.dim])?.to_vec();
    gamma.resize(Layout::plain(spec.dim).rows(), 0.0);
    Ok(Some(gamma))
}
