//! Plain multi-head attention with pre-norm, as the Perceiver IO baseline uses it.

use nac_core::model::spec::PlainAttentionSpec;
use tch::Tensor;

use super::heads;
use crate::context::ForwardContext;
use crate::error::{ModuleError, Result};
use crate::fused::{AttentionCall, AttentionSizes, BlockStates, FusedAttention, Projected};
use crate::layer::{LayerNorm, Linear};
use crate::params::Scope;
use crate::shape;
use crate::tokens::Tokens;

/// Added to the scores of padding; beyond every score, and within the range of `bfloat16`.
const PADDING: f64 = -1e38;

/// What queries attend to.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Sources<'a> {
    /// Tokens.
    Context(&'a Tokens),
    /// Each other, but for those that `mask`, `[batch, queries]`, says are padding.
    Own {
        /// True where a query is real; `None` if all are.
        mask: Option<&'a Tensor>,
    },
}

/// Pre-norm attention without residual.
///
/// Parameters: `norm`, `norm_context` (only with a context), `fn.to_q`, `fn.to_kv`, `fn.to_out`.
#[derive(Debug)]
pub struct PlainAttention {
    norm: LayerNorm,
    norm_context: Option<LayerNorm>,
    to_q: Linear,
    to_kv: Linear,
    to_out: Linear,
    heads: i64,
    dim: i64,
    blocks: FusedAttention,
}

impl PlainAttention {
    /// The attention of `spec`.
    ///
    /// # Errors
    /// A size is zero or a name is taken.
    pub fn new(scope: &mut Scope<'_>, spec: &PlainAttentionSpec) -> Result<Self> {
        let norm_context = spec.norm_context.as_ref();
        Ok(Self {
            norm: LayerNorm::from_spec(scope, &spec.norm)?,
            norm_context: norm_context
                .map(|norm| LayerNorm::from_spec(scope, norm))
                .transpose()?,
            to_q: Linear::from_spec(scope, &spec.to_q)?,
            to_kv: Linear::from_spec(scope, &spec.to_kv)?,
            to_out: Linear::from_spec(scope, &spec.to_out)?,
            heads: shape::positive("heads", spec.heads)?,
            dim: shape::positive("dim", spec.norm.dim)?,
            blocks: FusedAttention::default(),
        })
    }

    /// Attention to the given tokens.
    ///
    /// # Shapes
    /// - x: `[batch, queries, dim]`
    /// - context: `[batch, tokens, context_dim]`
    /// - output: `[batch, queries, dim]`
    ///
    /// # Errors
    /// The shapes do not fit, or the layer was built for self-attention.
    pub fn forward_context(&self, x: &Tensor, context: &Tokens) -> Result<Tensor> {
        let Some(norm_context) = &self.norm_context else {
            return Err(ModuleError::Setting {
                name: "context_dim".into(),
                value: "none".into(),
                reason: "this attention was built without a context".into(),
            });
        };
        self.check(x)?;
        let batch = x.size()[0];
        let dim = self.to_kv.weight().size()[1];
        let expected = [
            ("batch", Some(batch)),
            ("tokens", None),
            ("context_dim", Some(dim)),
        ];
        shape::check("PlainAttention", "context", context.values(), &expected)?;
        self.attend(x, &norm_context.forward(context.values())?, context.mask())
    }

    /// Attention of the queries to themselves, but for those that are padding.
    ///
    /// # Shapes
    /// - x: `[batch, queries, dim]`
    /// - mask: `[batch, queries]`, boolean, true where a query is real
    /// - output: as x
    ///
    /// # Errors
    /// The shapes do not fit.
    pub fn forward_self(&self, x: &Tensor, mask: Option<&Tensor>) -> Result<Tensor> {
        self.check(x)?;
        if let Some(mask) = mask {
            let size = x.size();
            let expected = [("batch", Some(size[0])), ("queries", Some(size[1]))];
            shape::check("PlainAttention", "mask", mask, &expected)?;
        }
        self.attend(x, &self.norm.forward(x)?, mask)
    }

    /// Attention to `sources`, with the queries added if there is a `residual`, by a fused block, if that covers this pass.
    /// `shared` are the queries as `[queries, dim]` if all examples have
    /// the same.
    pub(crate) fn fused(
        &self,
        (x, shared): (&Tensor, Option<&Tensor>),
        sources: Sources<'_>,
        residual: bool,
        ctx: &mut ForwardContext<'_>,
    ) -> Result<Option<Tensor>> {
        let (context, mask) = match sources {
            Sources::Context(context) => (Some(context), context.mask()),
            Sources::Own { mask } => (None, mask),
        };
        let (kind, device) = (x.kind(), x.device());
        if !ctx.may_fuse(kind, device) || context.is_some() != self.norm_context.is_some() {
            return Ok(None);
        }
        self.check(x)?;
        let inner = self.to_q.weight().size()[0];
        let both = self.to_kv.weight();
        let half = |index: i64| -> Result<Projected> {
            Ok(Projected {
                weight: both.f_detach()?.f_narrow(0, index * inner, inner)?,
                ..self.to_kv.projected()
            })
        };
        let senders = context.map(|context| BlockStates::new(context.values(), None));
        let call = AttentionCall {
            receivers: BlockStates::new(x, shared)?,
            senders: senders.transpose()?,
            receiver_norm: self.norm.normalised(),
            sender_norm: self.norm_context.as_ref().map(LayerNorm::normalised),
            query: self.to_q.projected(),
            key: half(0)?,
            value: half(1)?,
            key_value: Some(both.shallow_clone()),
            exit: self.to_out.projected(),
            links: None,
            mask: mask.map(Tensor::f_contiguous).transpose()?,
            keep: None,
            sizes: AttentionSizes {
                batch: x.size()[0],
                heads: self.heads,
                head_dim: inner / self.heads,
                residual,
            },
        };
        let Some((executor, tape)) = ctx.fused(kind, device) else {
            return Ok(None);
        };
        self.blocks.run(call, &executor, tape).map(Some)
    }

    fn check(&self, x: &Tensor) -> Result<()> {
        shape::check(
            "PlainAttention",
            "x",
            x,
            &[("batch", None), ("queries", None), ("dim", Some(self.dim))],
        )
    }

    fn attend(&self, x: &Tensor, context: &Tensor, mask: Option<&Tensor>) -> Result<Tensor> {
        let query = heads::split(&self.to_q.forward(&self.norm.forward(x)?)?, self.heads);
        let key_value = self.to_kv.forward(context)?.chunk(2, -1);
        let key = heads::split(&key_value[0], self.heads);
        let value = heads::split(&key_value[1], self.heads);
        // Finite, so that a row with no real token at all gives a uniform average and not NaN.
        let mask = mask
            .map(|mask| {
                let size = [mask.size()[0], 1, 1, mask.size()[1]];
                let zeros = Tensor::f_zeros(size, (query.kind(), query.device()))?;
                zeros.f_masked_fill(&mask.f_logical_not()?.f_view(size)?, PADDING)
            })
            .transpose()?;
        let read = Tensor::f_scaled_dot_product_attention(
            &query, &key, &value, mask, 0.0, false, None, false,
        )?;
        self.to_out.forward(&heads::merge(&read))
    }
}
