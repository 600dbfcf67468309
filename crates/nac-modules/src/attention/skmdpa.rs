//! Stochastic kernel-modulated dot-product attention (SKMDPA) between modules.
//!
//! `softmax(QKᵀ/√d + log K) V` with `K` the sampled links of [`SignatureKernel`]; queries, keys, values and
//! the exit projection are [`ModFc`] layers, so each module attends in its own way.
//! Source: paper section on SKMDPA; reference `attention.py`, `KernelModulatedLatentAttention`.
//! The reference also normalises the kernel over senders; that shifts each row of scores by a constant,
//! drops out of the softmax, and is left out here.

use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::{KernelConfig, SignatureKernel, heads};
use crate::circuit::ModuleStates;
use crate::context::ForwardContext;
use crate::error::Result;
use crate::layer::{DropPath, LayerNorm, ModFc, ModFcConfig};
use crate::params::Scope;
use crate::shape;

/// Settings of SKMDPA.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SkmdpaConfig {
    /// Number of heads. Default 8.
    pub heads: usize,
    /// Features per head. Default 64.
    pub head_dim: usize,
    /// Whether senders use the receivers' layer norm (true for propagators). Default true.
    pub share_layernorm: bool,
    /// Whether the receiver's state is added to the result (false for read-out). Default true.
    pub residual: bool,
    /// Whether query, key and value projections have a bias. Default false.
    pub qkv_bias: bool,
    /// From signatures to links.
    pub kernel: KernelConfig,
}

impl Default for SkmdpaConfig {
    fn default() -> Self {
        Self {
            heads: 8,
            head_dim: 64,
            share_layernorm: true,
            residual: true,
            qkv_bias: false,
            kernel: KernelConfig::default(),
        }
    }
}

/// Attention of receivers to senders along sampled links.
///
/// Parameters: `receiver_layernorm`, `sender_layernorm` (unless shared), `query_compiler`, `key_compiler`,
/// `value_compiler`, `exit_layer`, `kernel`.
#[derive(Debug)]
pub struct Skmdpa {
    receiver_norm: LayerNorm,
    sender_norm: Option<LayerNorm>,
    query: ModFc,
    key: ModFc,
    value: ModFc,
    exit: ModFc,
    kernel: SignatureKernel,
    heads: i64,
    residual: bool,
    drop_path: DropPath,
}

impl Skmdpa {
    /// Attention between modules with states of `state_dim` and codes of `code_dim`.
    ///
    /// # Errors
    /// A setting is out of range or a name is taken.
    pub fn new(
        mut scope: Scope<'_>,
        state_dim: usize,
        code_dim: usize,
        config: &SkmdpaConfig,
        mod_fc: &ModFcConfig,
        drop_path: DropPath,
    ) -> Result<Self> {
        let heads = shape::positive("heads", config.heads)?;
        let inner = config.heads * config.head_dim;
        let mut projection = |name: &str, in_dim, out_dim, bias| {
            ModFc::new(scope.sub(name), in_dim, out_dim, code_dim, bias, mod_fc)
        };
        let query = projection("query_compiler", state_dim, inner, config.qkv_bias)?;
        let key = projection("key_compiler", state_dim, inner, config.qkv_bias)?;
        let value = projection("value_compiler", state_dim, inner, config.qkv_bias)?;
        let exit = projection("exit_layer", inner, state_dim, true)?;
        let sender_norm = (!config.share_layernorm)
            .then(|| LayerNorm::new(scope.sub("sender_layernorm"), state_dim))
            .transpose()?;
        Ok(Self {
            receiver_norm: LayerNorm::new(scope.sub("receiver_layernorm"), state_dim)?,
            sender_norm,
            query,
            key,
            value,
            exit,
            kernel: SignatureKernel::new(scope.sub("kernel"), &config.kernel)?,
            heads,
            residual: config.residual,
            drop_path,
        })
    }

    /// New states of the receivers.
    ///
    /// # Shapes
    /// - receivers: states `[batch, receivers, state]`, codes and signatures per module
    /// - senders: states `[batch, senders, state]`, codes and signatures per module
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
        receivers.check("Skmdpa")?;
        senders.check("Skmdpa")?;
        let batch = receivers.states.size()[0];
        let listening = self.receiver_norm.forward(receivers.states);
        let sending = self
            .sender_norm
            .as_ref()
            .unwrap_or(&self.receiver_norm)
            .forward(senders.states);
        let query = heads::split(
            &self.query.forward(&listening, receivers.codes)?,
            self.heads,
        );
        let key = heads::split(&self.key.forward(&sending, senders.codes)?, self.heads);
        let value = heads::split(&self.value.forward(&sending, senders.codes)?, self.heads);
        let log_links =
            self.kernel
                .forward(receivers.signatures, senders.signatures, batch, ctx)?;
        let message = Tensor::f_scaled_dot_product_attention(
            &query,
            &key,
            &value,
            Some(&log_links),
            0.0,
            false,
            None,
            false,
        )?;
        let update = self.drop_path.forward(
            self.exit
                .forward(&heads::merge(&message), receivers.codes)?,
            ctx,
        )?;
        Ok(if self.residual {
            receivers.states + update
        } else {
            update
        })
    }

    /// The kernel that links modules.
    pub fn kernel(&self) -> &SignatureKernel {
        &self.kernel
    }
}
