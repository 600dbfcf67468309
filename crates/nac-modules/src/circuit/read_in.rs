//! Read-in: modules read the tokens, then think about what they read (attention, then ModFFN).
//!
//! Source: reference `block.py`, class `AttentiveReadIn`.

use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::ModuleStates;
use crate::attention::{ReadInAttention, ReadInAttentionConfig};
use crate::context::ForwardContext;
use crate::error::Result;
use crate::layer::{DropPath, ModFcConfig, ModFfn, ModFfnConfig};
use crate::params::Scope;
use crate::tokens::Tokens;

/// Settings of the read-in.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReadInConfig {
    /// Attention to the tokens.
    pub attention: ReadInAttentionConfig,
    /// Feed-forward block.
    pub ffn: ModFfnConfig,
}

/// Read-in attention and a ModFFN. Parameters under `read_in_attention` and `ffn`.
#[derive(Debug)]
pub struct ReadIn {
    attention: ReadInAttention,
    ffn: ModFfn,
}

impl ReadIn {
    /// A read-in from tokens of `token_dim`.
    ///
    /// # Errors
    /// A setting is out of range or a name is taken.
    pub fn new(
        mut scope: Scope<'_>,
        token_dim: usize,
        state_dim: usize,
        code_dim: usize,
        config: &ReadInConfig,
        mod_fc: &ModFcConfig,
        drop_path: f64,
    ) -> Result<Self> {
        let path = scope.path().to_owned();
        let attention = ReadInAttention::new(
            scope.sub("read_in_attention"),
            token_dim,
            state_dim,
            code_dim,
            &config.attention,
            mod_fc,
            DropPath::new(format!("{path}.read_in_attention.drop_path"), drop_path)?,
        )?;
        let drop_path = DropPath::new(format!("{path}.ffn.drop_path"), drop_path)?;
        let ffn = ModFfn::new(
            scope.sub("ffn"),
            state_dim,
            code_dim,
            &config.ffn,
            mod_fc,
            drop_path,
        )?;
        Ok(Self { attention, ffn })
    }

    /// States of the modules after reading.
    ///
    /// # Shapes
    /// - modules: states `[batch, modules, state]`
    /// - tokens: `[batch, tokens, token_dim]`
    /// - output: `[batch, modules, state]`
    ///
    /// # Errors
    /// The shapes do not fit.
    pub fn forward(
        &self,
        modules: &ModuleStates<'_>,
        tokens: &Tokens,
        ctx: &mut ForwardContext<'_>,
    ) -> Result<Tensor> {
        let states = self.attention.forward(modules, tokens, ctx)?;
        self.ffn.forward(&states, modules.codes, ctx)
    }
}
