//! Read-out: output modules gather the result from the processors.
//!
//! A propagator from processors to read-out modules, with its own layer norm for senders and without a
//! residual around the attention, then, if asked for, a projection to the output dimension.
//! Source: reference `block.py`, class `ReadOut` (the final configuration has no head).

use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::{ModuleStates, Propagator, PropagatorConfig};
use crate::attention::{KernelConfig, SignatureKernel, SkmdpaConfig};
use crate::context::ForwardContext;
use crate::error::Result;
use crate::layer::{LayerNorm, ModFcConfig, ModFfnConfig, Projection};
use crate::params::Scope;

/// Settings of the read-out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReadOutConfig {
    /// Number of heads. Default 1.
    pub heads: usize,
    /// Features per head. Default 64.
    pub head_dim: usize,
    /// Whether processors use the layer norm of the read-out modules. Default false.
    pub share_layernorm: bool,
    /// Whether the state of a read-out module is added to what its attention gathers. Default false.
    pub residual: bool,
    /// Whether query, key and value projections have a bias. Default false.
    pub qkv_bias: bool,
    /// Initial value of the learned scale of the attention branch; without it there is none. Default none.
    pub layer_scale: Option<f64>,
    /// Whether log links are added to the scores. Default true.
    pub mask_attn_scores_with_affinities: bool,
    /// Whether attention weights are multiplied by links after the softmax. Default false.
    pub scale_attention_by_affinities_after_softmax: bool,
    /// Whether those links are first divided by their sum over processors. Default true.
    pub normalize_kernel_along_keys: bool,
    /// From signatures to links.
    pub kernel: KernelConfig,
    /// Settings of the projections of attention and head; without them, those of the circuit. Default none.
    pub mod_fc: Option<ModFcConfig>,
    /// Feed-forward block.
    pub ffn: ModFfnConfig,
    /// Probability of dropping a residual branch in training; without it, that of the circuit. Default none.
    pub drop_path: Option<f64>,
    /// Noise on codes in training, as a share `a` of each entry: `c + U(−a|c|, a|c|)`. Default 0.
    pub code_noise: f64,
    /// Whether a projection to the output dimension follows. Default false.
    pub use_head: bool,
    /// Whether that projection has a layer norm before it. Default false.
    pub pre_output_layernorm: bool,
}

impl Default for ReadOutConfig {
    fn default() -> Self {
        Self {
            heads: 1,
            head_dim: 64,
            share_layernorm: false,
            residual: false,
            qkv_bias: false,
            layer_scale: None,
            mask_attn_scores_with_affinities: true,
            scale_attention_by_affinities_after_softmax: false,
            normalize_kernel_along_keys: true,
            kernel: KernelConfig::default(),
            mod_fc: None,
            ffn: ModFfnConfig::default(),
            drop_path: None,
            code_noise: 0.0,
            use_head: false,
            pre_output_layernorm: false,
        }
    }
}

impl ReadOutConfig {
    fn propagator(&self) -> PropagatorConfig {
        PropagatorConfig {
            attention: SkmdpaConfig {
                heads: self.heads,
                head_dim: self.head_dim,
                share_layernorm: self.share_layernorm,
                residual: self.residual,
                qkv_bias: self.qkv_bias,
                layer_scale: self.layer_scale,
                mask_attn_scores_with_affinities: self.mask_attn_scores_with_affinities,
                scale_attention_by_affinities_after_softmax: self
                    .scale_attention_by_affinities_after_softmax,
                normalize_kernel_along_keys: self.normalize_kernel_along_keys,
                kernel: self.kernel.clone(),
                mod_fc: self.mod_fc.clone(),
            },
            ffn: self.ffn.clone(),
            drop_path: self.drop_path,
            code_noise: self.code_noise,
        }
    }
}

/// Projection of the states to the output dimension.
#[derive(Debug)]
struct Head {
    norm: Option<LayerNorm>,
    projection: Projection,
}

/// Read-out modules' attention, ModFFN and head. Parameters under `latent_attention`, `ffn`, `head.0.module` (layer
/// norm, if any) and `head.1` (projection, if any).
#[derive(Debug)]
pub struct ReadOut {
    propagator: Propagator,
    head: Option<Head>,
    output_dim: usize,
}

impl ReadOut {
    /// A read-out of modules with states of `state_dim`. `output_dim` matters with `use_head` only.
    ///
    /// # Errors
    /// A setting is out of range or a name is taken.
    pub fn new(
        mut scope: Scope<'_>,
        state_dim: usize,
        code_dim: usize,
        output_dim: usize,
        config: &ReadOutConfig,
        mod_fc: &ModFcConfig,
        drop_path: f64,
    ) -> Result<Self> {
        let head = if config.use_head {
            let norm = config
                .pre_output_layernorm
                .then(|| LayerNorm::new(scope.sub("head.0.module"), state_dim))
                .transpose()?;
            let mod_fc = config.mod_fc.as_ref().unwrap_or(mod_fc);
            let scope = scope.sub("head.1");
            let projection = Projection::new(scope, state_dim, output_dim, code_dim, true, mod_fc)?;
            Some(Head { norm, projection })
        } else {
            None
        };
        Ok(Self {
            propagator: Propagator::new(
                scope,
                state_dim,
                code_dim,
                &config.propagator(),
                mod_fc,
                drop_path,
            )?,
            output_dim: if head.is_some() {
                output_dim
            } else {
                state_dim
            },
            head,
        })
    }

    /// States of the read-out modules.
    ///
    /// # Shapes
    /// - read_out: states `[batch, read_out, state]`
    /// - processors: states `[batch, modules, state]`
    /// - output: `[batch, read_out, state]`, or with a head `[batch, read_out, output]`
    ///
    /// # Errors
    /// The shapes do not fit.
    pub fn forward(
        &self,
        read_out: &ModuleStates<'_>,
        processors: &ModuleStates<'_>,
        ctx: &mut ForwardContext<'_>,
    ) -> Result<Tensor> {
        let states = self.propagator.forward(read_out, processors, ctx)?;
        let Some(head) = &self.head else {
            return Ok(states);
        };
        let states = match &head.norm {
            Some(norm) => norm.forward(&states)?,
            None => states,
        };
        head.projection.forward(&states, read_out.codes, ctx)
    }

    /// Dimension of the result.
    pub fn output_dim(&self) -> usize {
        self.output_dim
    }

    /// The kernel that links processors to read-out modules.
    pub fn kernel(&self) -> &SignatureKernel {
        self.propagator.kernel()
    }
}
