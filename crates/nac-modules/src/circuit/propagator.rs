//! Propagator: modules talk along sampled links, then compute (SKMDPA, then ModFFN).
//!
//! Source: reference `block.py`, class `Propagator`.

use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::ModuleStates;
use crate::attention::{SignatureKernel, Skmdpa, SkmdpaConfig};
use crate::context::ForwardContext;
use crate::error::Result;
use crate::layer::{DropPath, ModFcConfig, ModFfn, ModFfnConfig};
use crate::params::Scope;

/// Settings of a propagator.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PropagatorConfig {
    /// Attention between modules.
    pub attention: SkmdpaConfig,
    /// Feed-forward block.
    pub ffn: ModFfnConfig,
}

/// SKMDPA and a ModFFN. Parameters under `latent_attention` and `ffn`.
#[derive(Debug)]
pub struct Propagator {
    attention: Skmdpa,
    ffn: ModFfn,
}

impl Propagator {
    /// A propagator between modules with states of `state_dim`.
    ///
    /// # Errors
    /// A setting is out of range or a name is taken.
    pub fn new(
        mut scope: Scope<'_>,
        state_dim: usize,
        code_dim: usize,
        config: &PropagatorConfig,
        mod_fc: &ModFcConfig,
        drop_path: f64,
    ) -> Result<Self> {
        let path = scope.path().to_owned();
        let drop = |part: &str| DropPath::new(format!("{path}.{part}.drop_path"), drop_path);
        let (for_attention, for_ffn) = (drop("latent_attention")?, drop("ffn")?);
        let attention = scope.sub("latent_attention");
        let attention = Skmdpa::new(
            attention,
            state_dim,
            code_dim,
            &config.attention,
            mod_fc,
            for_attention,
        )?;
        let ffn = ModFfn::new(
            scope.sub("ffn"),
            state_dim,
            code_dim,
            &config.ffn,
            mod_fc,
            for_ffn,
        )?;
        Ok(Self { attention, ffn })
    }

    /// New states of the receivers. In a propagation step receivers and senders are the same modules.
    ///
    /// # Shapes
    /// - receivers: states `[batch, receivers, state]`
    /// - senders: states `[batch, senders, state]`
    /// - output: `[batch, receivers, state]`
    ///
    /// # Errors
    /// The shapes do not fit.
    pub fn forward(
        &self,
        receivers: &ModuleStates<'_>,
        senders: &ModuleStates<'_>,
        ctx: &mut ForwardContext<'_>,
    ) -> Result<Tensor> {
        let states = self.attention.forward(receivers, senders, ctx)?;
        self.ffn.forward(&states, receivers.codes, ctx)
    }

    /// The kernel that links modules.
    pub fn kernel(&self) -> &SignatureKernel {
        self.attention.kernel()
    }
}
