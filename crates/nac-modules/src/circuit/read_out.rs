//! Read-out: output modules gather the result from the processors.
//!
//! A propagator from processors to read-out modules, with its own layer norm for senders and without a
//! residual around the attention. Source: reference `block.py`, class `ReadOut` (final configuration, no head).

use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::{ModuleStates, Propagator, PropagatorConfig};
use crate::attention::{KernelConfig, SkmdpaConfig};
use crate::context::ForwardContext;
use crate::error::Result;
use crate::layer::{ModFcConfig, ModFfnConfig};
use crate::params::Scope;

/// Settings of the read-out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReadOutConfig {
    /// Number of heads. Default 1.
    pub heads: usize,
    /// Features per head. Default 64.
    pub head_dim: usize,
    /// Whether query, key and value projections have a bias. Default false.
    pub qkv_bias: bool,
    /// From signatures to links.
    pub kernel: KernelConfig,
    /// Feed-forward block.
    pub ffn: ModFfnConfig,
}

impl Default for ReadOutConfig {
    fn default() -> Self {
        Self {
            heads: 1,
            head_dim: 64,
            qkv_bias: false,
            kernel: KernelConfig::default(),
            ffn: ModFfnConfig::default(),
        }
    }
}

impl ReadOutConfig {
    fn propagator(&self) -> PropagatorConfig {
        PropagatorConfig {
            attention: SkmdpaConfig {
                heads: self.heads,
                head_dim: self.head_dim,
                share_layernorm: false,
                residual: false,
                qkv_bias: self.qkv_bias,
                kernel: self.kernel.clone(),
            },
            ffn: self.ffn.clone(),
        }
    }
}

/// Read-out modules' attention and ModFFN. Parameters under `latent_attention` and `ffn`.
#[derive(Debug)]
pub struct ReadOut {
    propagator: Propagator,
}

impl ReadOut {
    /// A read-out of modules with states of `state_dim`.
    ///
    /// # Errors
    /// A setting is out of range or a name is taken.
    pub fn new(
        scope: Scope<'_>,
        state_dim: usize,
        code_dim: usize,
        config: &ReadOutConfig,
        mod_fc: &ModFcConfig,
        drop_path: f64,
    ) -> Result<Self> {
        Ok(Self {
            propagator: Propagator::new(
                scope,
                state_dim,
                code_dim,
                &config.propagator(),
                mod_fc,
                drop_path,
            )?,
        })
    }

    /// States of the read-out modules.
    ///
    /// # Shapes
    /// - read_out: states `[batch, read_out, state]`
    /// - processors: states `[batch, modules, state]`
    /// - output: `[batch, read_out, state]`
    ///
    /// # Errors
    /// The shapes do not fit.
    pub fn forward(
        &self,
        read_out: &ModuleStates<'_>,
        processors: &ModuleStates<'_>,
        ctx: &mut ForwardContext<'_>,
    ) -> Result<Tensor> {
        self.propagator.forward(read_out, processors, ctx)
    }
}
