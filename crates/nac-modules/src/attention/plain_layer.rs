//! Plain attention, then perhaps a feed-forward block: a layer of Perceiver IO and of the reader of a text.

use nac_core::model::spec::{FeedForwardSpec, PerceiverLayerSpec};
use tch::Tensor;

use super::plain::{PlainAttention, Sources};
use crate::context::ForwardContext;
use crate::error::Result;
use crate::layer::{FeedForward, LayerNorm};
use crate::params::Scope;

/// Layer norm, feed-forward, residual. Parameters under `norm` and `fn`.
#[derive(Debug)]
struct ResidualFeedForward {
    norm: LayerNorm,
    inner: FeedForward,
}

impl ResidualFeedForward {
    fn new(scope: &mut Scope<'_>, spec: &FeedForwardSpec) -> Result<Self> {
        Ok(Self {
            norm: LayerNorm::from_spec(scope, &spec.norm)?,
            inner: FeedForward::new(scope, spec)?,
        })
    }

    fn run(&self, x: &Tensor, ctx: &mut ForwardContext<'_>) -> Result<Tensor> {
        if let Some(states) = self.inner.fused(x, &self.norm, ctx)? {
            return Ok(states);
        }
        Ok(x + self.inner.forward(&self.norm.forward(x)?)?)
    }
}

/// Attention, then perhaps a feed-forward block.
#[derive(Debug)]
pub(crate) struct PlainLayer {
    attention: PlainAttention,
    feed_forward: Option<ResidualFeedForward>,
    residual: bool,
}

impl PlainLayer {
    /// The layer of `spec`.
    ///
    /// # Errors
    /// A size is zero or a name is taken.
    pub(crate) fn new(scope: &mut Scope<'_>, spec: &PerceiverLayerSpec) -> Result<Self> {
        if let Some(target) = &spec.shares {
            scope.alias(&spec.path, target);
        }
        let ffn = spec.ffn.as_ref();
        Ok(Self {
            attention: PlainAttention::new(scope, &spec.attention)?,
            feed_forward: ffn
                .map(|ffn| ResidualFeedForward::new(scope, ffn))
                .transpose()?,
            residual: spec.attention.residual,
        })
    }

    /// `x` after reading `sources`. `shared` is `x` as `[items, dim]` if all examples have the same.
    ///
    /// # Shapes
    /// - x, output: `[batch, items, dim]`
    ///
    /// # Errors
    /// The shapes do not fit.
    pub(crate) fn run(
        &self,
        (x, shared): (&Tensor, Option<&Tensor>),
        sources: Sources<'_>,
        ctx: &mut ForwardContext<'_>,
    ) -> Result<Tensor> {
        let residual = self.residual;
        let read = match self.attention.fused((x, shared), sources, residual, ctx)? {
            Some(read) => read,
            None => {
                let read = match sources {
                    Sources::Context(context) => self.attention.forward_context(x, context)?,
                    Sources::Own { mask } => self.attention.forward_self(x, mask)?,
                };
                if residual { read + x } else { read }
            }
        };
        match &self.feed_forward {
            Some(feed_forward) => feed_forward.run(&read, ctx),
            None => Ok(read),
        }
    }
}
