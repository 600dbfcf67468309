//! Propagator: modules attend to each other along sampled links, then compute (SKMDPA, then ModFFN).
//!
//! In training codes may be disturbed, `c + U(−a|c|, a|c|)`, with separate draws for receivers and
//! senders; no gradient goes through the disturbance. A code of zero stays zero (the reference fails).
//! Source: reference `block.py`, class `Propagator`.

use tch::Tensor;

use super::code_noise::CodeNoise;
use super::{ModuleStates, PropagatorConfig};
use crate::attention::{SignatureKernel, Skmdpa};
use crate::context::ForwardContext;
use crate::error::Result;
use crate::layer::{DropPath, ModFcConfig, ModFfn};
use crate::params::Scope;

/// SKMDPA and a ModFFN. Parameters under `latent_attention` and `ffn`.
#[derive(Debug)]
pub struct Propagator {
    attention: Skmdpa,
    ffn: ModFfn,
    receiver_noise: CodeNoise,
    sender_noise: CodeNoise,
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
        let noise =
            |side: &str| CodeNoise::new(format!("{path}.{side}_code_noise"), config.code_noise);
        let (receiver_noise, sender_noise) = (noise("receiver")?, noise("sender")?);
        let drop_path = config.drop_path.unwrap_or(drop_path);
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
        Ok(Self {
            attention,
            ffn,
            receiver_noise,
            sender_noise,
        })
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
        let receiver_codes = self.receiver_noise.forward(receivers.codes, ctx)?;
        let sender_codes = self.sender_noise.forward(senders.codes, ctx)?;
        let receivers = ModuleStates {
            codes: &receiver_codes,
            ..*receivers
        };
        let senders = ModuleStates {
            codes: &sender_codes,
            ..*senders
        };
        let states = self.attention.forward(&receivers, &senders, ctx)?;
        self.ffn.forward(&states, &receiver_codes, ctx)
    }

    /// The kernel that links modules.
    pub fn kernel(&self) -> &SignatureKernel {
        self.attention.kernel()
    }
}
