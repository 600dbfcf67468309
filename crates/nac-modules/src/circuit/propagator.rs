//! Propagator: modules attend to each other along sampled links, then compute (SKMDPA, then ModFFN).
//!
//! In training codes may be disturbed, `c + U(−a|c|, a|c|)`, with separate draws for receivers and
//! senders; no gradient goes through the disturbance. A code of zero stays zero (the reference fails).
//! Source: reference `block.py`, class `Propagator`.

use nac_core::model::spec::PropagatorSpec;
use tch::Tensor;

use super::ModuleStates;
use super::code_noise::CodeNoise;
use crate::attention::{SignatureKernel, Skmdpa};
use crate::context::ForwardContext;
use crate::error::Result;
use crate::layer::ModFfn;
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
    /// The propagator of `spec`.
    ///
    /// # Errors
    /// A setting is out of range or a name is taken.
    pub fn new(scope: &mut Scope<'_>, spec: &PropagatorSpec) -> Result<Self> {
        if let Some(target) = &spec.shares {
            scope.alias(&spec.path, target);
        }
        let mut own = scope.sub(&spec.path);
        let receiver_noise = CodeNoise::new(&mut own, "receiver_code_noise", spec.code_noise)?;
        let sender_noise = CodeNoise::new(&mut own, "sender_code_noise", spec.code_noise)?;
        Ok(Self {
            attention: Skmdpa::new(scope, &spec.attention)?,
            ffn: ModFfn::new(scope, &spec.ffn)?,
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
