//! Resolved attention in its three uses.

use serde::Serialize;

use super::layer::{LinearSpec, NormSpec, ProjectionSpec, ResidualSpec, Surroundings, positive};
use super::node::{Node, OwnTensor, join};
use crate::model::{
    ConfigError, KernelConfig, ModFcConfig, ProjectionKind, ReadInAttentionConfig, SkmdpaConfig,
};

/// From signatures to links.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KernelSpec {
    /// Path of `bandwidth`, a single number; also the stream of sampled links.
    pub path: String,
    /// The settings.
    pub config: KernelConfig,
}

impl KernelConfig {
    /// The kernel with these settings, its parameter below `path`.
    ///
    /// # Errors
    /// [`ConfigError::Setting`] if a setting is out of range.
    pub fn resolve(&self, path: &str) -> Result<KernelSpec, ConfigError> {
        self.check()?;
        Ok(KernelSpec {
            path: path.to_owned(),
            config: self.clone(),
        })
    }
}

impl Node for KernelSpec {
    fn path(&self) -> &str {
        &self.path
    }

    fn describe(&self) -> String {
        let config = &self.config;
        let cut = config
            .truncation
            .map(|limit| format!(", truncated at {limit}"));
        format!(
            "kernel, bandwidth {}{}",
            config.bandwidth,
            cut.unwrap_or_default()
        )
    }

    fn tensors(&self) -> Vec<OwnTensor> {
        vec![OwnTensor {
            name: "bandwidth",
            shape: Vec::new(),
            trained: self.config.learnable_bandwidth,
        }]
    }
}

/// Whether an attention is that of a propagator or of the read-out, whose defaults differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttentionRole {
    /// 8 heads, one layer norm for receivers and senders, states added to the result.
    Propagator,
    /// 1 head, separate layer norms, no residual.
    ReadOut,
}

/// Stochastic kernel-modulated attention between modules.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SkmdpaSpec {
    /// Path of the layers below.
    pub path: String,
    /// Number of heads.
    pub heads: usize,
    /// Features per head.
    pub head_dim: usize,
    /// Layer norm of receivers.
    pub receiver_norm: NormSpec,
    /// Layer norm of senders; `None` if it is the receivers'.
    pub sender_norm: Option<NormSpec>,
    /// Queries of receivers.
    pub query: ProjectionSpec,
    /// Keys of senders.
    pub key: ProjectionSpec,
    /// Values of senders.
    pub value: ProjectionSpec,
    /// From the heads back to the states.
    pub exit: ProjectionSpec,
    /// End of the branch.
    pub residual: ResidualSpec,
    /// From signatures to links.
    pub kernel: KernelSpec,
    /// Whether log links are added to the scores.
    pub mask: bool,
    /// Whether weights are multiplied by links after the softmax.
    pub scale: bool,
    /// Whether those links are first divided by their sum over senders.
    pub normalize: bool,
}

impl SkmdpaConfig {
    /// The attention with these settings at `at`; what is not set has the defaults of `role`.
    ///
    /// # Errors
    /// [`ConfigError::Setting`] if a setting is out of range.
    pub fn resolve(
        &self,
        at: &Surroundings<'_>,
        role: AttentionRole,
    ) -> Result<SkmdpaSpec, ConfigError> {
        let propagates = role == AttentionRole::Propagator;
        let default_heads = if propagates { 8 } else { 1 };
        let mod_fc = self.mod_fc.as_ref().unwrap_or(at.mod_fc);
        let at = &Surroundings { mod_fc, ..*at };
        let heads = positive("heads", self.heads.unwrap_or(default_heads))?;
        let head_dim = positive("head_dim", self.head_dim)?;
        let (state, inner) = (at.state_dim, heads * head_dim);
        let norm = |name| NormSpec::new(join(at.path, name), state);
        let inside = |name| ProjectionSpec::new(at, name, (state, inner), self.qkv_bias);
        let shared = self.share_layernorm.unwrap_or(propagates);
        Ok(SkmdpaSpec {
            path: at.path.to_owned(),
            heads,
            head_dim,
            receiver_norm: norm("receiver_layernorm"),
            sender_norm: (!shared).then(|| norm("sender_layernorm")),
            query: inside("query_compiler")?,
            key: inside("key_compiler")?,
            value: inside("value_compiler")?,
            exit: ProjectionSpec::new(at, "exit_layer", (inner, state), true)?,
            residual: ResidualSpec::new(at, self.layer_scale, self.residual.unwrap_or(propagates))?,
            kernel: self
                .kernel
                .resolve(&join(at.path, "kernel"))
                .map_err(|error| error.within("kernel"))?,
            mask: self.mask_attn_scores_with_affinities,
            scale: self.scale_attention_by_affinities_after_softmax,
            normalize: self.normalize_kernel_along_keys,
        })
    }
}

impl Node for SkmdpaSpec {
    fn path(&self) -> &str {
        &self.path
    }

    fn describe(&self) -> String {
        format!("SKMDPA, {} heads of {}", self.heads, self.head_dim)
    }

    fn children(&self) -> Vec<&dyn Node> {
        let mut all: Vec<&dyn Node> = vec![&self.receiver_norm];
        all.extend(self.sender_norm.as_ref().map(|norm| norm as &dyn Node));
        let projections = [&self.query, &self.key, &self.value];
        all.extend(projections.map(|projection| projection as &dyn Node));
        all.extend([&self.kernel as &dyn Node, &self.exit, &self.residual]);
        all
    }
}

/// Attention of modules to tokens.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ReadInAttentionSpec {
    /// Path of the layers below.
    pub path: String,
    /// Number of heads.
    pub heads: usize,
    /// Features per head.
    pub head_dim: usize,
    /// Layer norm of tokens.
    pub sender_norm: NormSpec,
    /// Layer norm of modules.
    pub receiver_norm: NormSpec,
    /// Queries of modules.
    pub query: ProjectionSpec,
    /// Keys of tokens, for each module its own unless plain.
    pub key: ProjectionSpec,
    /// Values of tokens, for each module its own unless plain.
    pub value: ProjectionSpec,
    /// From the heads back to the states.
    pub exit: ProjectionSpec,
    /// End of the branch.
    pub residual: ResidualSpec,
}

impl ReadInAttentionConfig {
    /// The attention with these settings at `at`, to tokens of `token_dim`.
    ///
    /// # Errors
    /// [`ConfigError::Setting`] if a setting is out of range.
    pub fn resolve(
        &self,
        at: &Surroundings<'_>,
        token_dim: usize,
    ) -> Result<ReadInAttentionSpec, ConfigError> {
        let mod_fc = self.mod_fc.as_ref().unwrap_or(at.mod_fc);
        let at = &Surroundings { mod_fc, ..*at };
        let plain = ModFcConfig {
            kind: ProjectionKind::Fc,
            ..mod_fc.clone()
        };
        let tokens = if self.share_key_value_projectors {
            Surroundings {
                mod_fc: &plain,
                ..*at
            }
        } else {
            *at
        };
        let (heads, head_dim) = (
            positive("heads", self.heads)?,
            positive("head_dim", self.head_dim)?,
        );
        let token_dim = positive("token_dim", token_dim)?;
        let (state, inner, bias) = (at.state_dim, heads * head_dim, self.qkv_bias);
        let norm = |name, dim| NormSpec::new(join(at.path, name), dim);
        Ok(ReadInAttentionSpec {
            path: at.path.to_owned(),
            heads,
            head_dim,
            sender_norm: norm("sender_layernorm", token_dim),
            receiver_norm: norm("receiver_layernorm", state),
            query: ProjectionSpec::new(at, "query_compiler", (state, inner), bias)?,
            key: ProjectionSpec::new(&tokens, "key_compiler", (token_dim, inner), bias)?,
            value: ProjectionSpec::new(&tokens, "value_compiler", (token_dim, inner), bias)?,
            exit: ProjectionSpec::new(at, "exit_layer", (inner, state), true)?,
            residual: ResidualSpec::new(at, self.layer_scale, self.residual)?,
        })
    }
}

impl Node for ReadInAttentionSpec {
    fn path(&self) -> &str {
        &self.path
    }

    fn describe(&self) -> String {
        let tokens = self.sender_norm.dim;
        let (heads, dim) = (self.heads, self.head_dim);
        format!("attention to tokens of {tokens}, {heads} heads of {dim}")
    }

    fn children(&self) -> Vec<&dyn Node> {
        let projections = [&self.query, &self.key, &self.value, &self.exit];
        let mut all: Vec<&dyn Node> = vec![&self.sender_norm, &self.receiver_norm];
        all.extend(projections.map(|projection| projection as &dyn Node));
        all.push(&self.residual);
        all
    }
}

/// Plain attention with norms before it, for the baseline.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlainAttentionSpec {
    /// Path of the layers below.
    pub path: String,
    /// Number of heads.
    pub heads: usize,
    /// Features per head.
    pub head_dim: usize,
    /// Layer norm of those that attend.
    pub norm: NormSpec,
    /// Layer norm of the context; `None` for self-attention.
    pub norm_context: Option<NormSpec>,
    /// Queries.
    pub to_q: LinearSpec,
    /// Keys and values, in this order.
    pub to_kv: LinearSpec,
    /// From the heads back to the states.
    pub to_out: LinearSpec,
    /// Whether what attends is added to the result.
    pub residual: bool,
}

impl PlainAttentionSpec {
    /// Attention of `dim` features to a context of `context` features, or to themselves.
    pub(super) fn new(
        path: String,
        (dim, context): (usize, Option<usize>),
        (heads, head_dim): (usize, usize),
        residual: bool,
    ) -> Self {
        let inner = heads * head_dim;
        let linear =
            |name, input, output, bias| LinearSpec::new(join(&path, name), input, output, bias);
        Self {
            heads,
            head_dim,
            norm: NormSpec::new(join(&path, "norm"), dim),
            norm_context: context.map(|dim| NormSpec::new(join(&path, "norm_context"), dim)),
            to_q: linear("fn.to_q", dim, inner, false),
            to_kv: linear("fn.to_kv", context.unwrap_or(dim), 2 * inner, false),
            to_out: linear("fn.to_out", inner, dim, true),
            residual,
            path,
        }
    }
}

impl Node for PlainAttentionSpec {
    fn path(&self) -> &str {
        &self.path
    }

    fn describe(&self) -> String {
        format!("attention, {} heads of {}", self.heads, self.head_dim)
    }

    fn children(&self) -> Vec<&dyn Node> {
        let mut all: Vec<&dyn Node> = vec![&self.norm];
        all.extend(self.norm_context.as_ref().map(|norm| norm as &dyn Node));
        all.extend([&self.to_q as &dyn Node, &self.to_kv, &self.to_out]);
        all
    }
}
