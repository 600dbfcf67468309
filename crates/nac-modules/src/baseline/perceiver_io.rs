//! Perceiver IO: latents read the input once, attend to each other, and one query reads the answer.
//!
//! Source: Perceiver IO (arXiv 2107.14795) as the reference uses it for its baseline: cross-attention and
//! feed-forward, `depth` layers of self-attention and feed-forward with their own or tied weights, decoder
//! cross-attention without residual, perhaps a decoder feed-forward, linear head on one learned query.

use tch::Tensor;

use super::PerceiverIoConfig;
use crate::attention::PlainAttention;
use crate::context::ForwardContext;
use crate::error::Result;
use crate::inputs::Inputs;
use crate::layer::{FeedForward, LayerNorm, Linear};
use crate::model::{Model, ModelOutput};
use crate::params::{Init, ParamStore, Scope};
use crate::shape;
use crate::tokenizer::Tokenizer;

/// Layer norm, feed-forward, residual. Parameters under `norm` and `fn`.
#[derive(Debug)]
struct ResidualFeedForward {
    norm: LayerNorm,
    inner: FeedForward,
}

impl ResidualFeedForward {
    fn new(mut scope: Scope<'_>, dim: usize, multiplier: usize) -> Result<Self> {
        let norm = LayerNorm::new(scope.sub("norm"), dim)?;
        Ok(Self {
            norm,
            inner: FeedForward::new(scope.sub("fn"), dim, multiplier)?,
        })
    }

    fn run(&self, x: &Tensor) -> Result<Tensor> {
        Ok(x + self.inner.forward(&self.norm.forward(x)?)?)
    }
}

/// A Perceiver IO classifier.
pub struct PerceiverIo {
    store: ParamStore,
    tokenizer: Box<dyn Tokenizer>,
    latents: Tensor,
    query: Tensor,
    read: (PlainAttention, ResidualFeedForward),
    layers: Vec<(PlainAttention, ResidualFeedForward)>,
    decode: (PlainAttention, Option<ResidualFeedForward>),
    to_logits: Linear,
}

impl std::fmt::Debug for PerceiverIo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PerceiverIo")
            .field("parameters", &self.store.parameter_count())
            .finish_non_exhaustive()
    }
}

impl PerceiverIo {
    /// Builds the model in `store`; `tokenizer` builds the tokenizer in the scope it is given.
    ///
    /// # Errors
    /// A setting is out of range or a name is taken.
    pub fn new(
        mut store: ParamStore,
        config: &PerceiverIoConfig,
        classes: usize,
        tokenizer: impl FnOnce(Scope<'_>) -> Result<Box<dyn Tokenizer>>,
    ) -> Result<Self> {
        let PerceiverIoConfig {
            latent_dim: dim,
            cross_heads,
            latent_heads,
            head_dim,
            ..
        } = *config;
        config.check()?;
        let (multiplier, cross_head_dim) = (config.ffn_multiplier, config.cross_head_dim());
        let mut root = store.root();
        let tokenizer = tokenizer(root.sub("tokenizer"))?;
        let (count, size) = (
            shape::positive("latents", config.latents)?,
            shape::positive("latent_dim", dim)?,
        );
        let start = Init::Normal { std: 1.0 };
        let latents = root.parameter("latents", &[count, size], start)?;
        let query_dim = config.query_dim();
        let query = root.parameter(
            "classification_query",
            &[1, shape::positive("query_dim", query_dim)?],
            start,
        )?;
        let token_dim = tokenizer.token_dim();
        let read = (
            PlainAttention::new(
                root.sub("cross_attend_blocks.0"),
                dim,
                Some(token_dim),
                cross_heads,
                cross_head_dim,
            )?,
            ResidualFeedForward::new(root.sub("cross_attend_blocks.1"), dim, multiplier)?,
        );
        let layers = (0..config.depth)
            .map(|layer| {
                if layer > 0 && config.weight_tie_layers {
                    root.alias(format!("layers.{layer}"), "layers.0");
                }
                let mut scope = root.sub(format!("layers.{layer}"));
                let attention =
                    PlainAttention::new(scope.sub(0), dim, None, latent_heads, head_dim)?;
                Ok((
                    attention,
                    ResidualFeedForward::new(scope.sub(1), dim, multiplier)?,
                ))
            })
            .collect::<Result<_>>()?;
        let decode = (
            PlainAttention::new(
                root.sub("decoder_cross_attn"),
                query_dim,
                Some(dim),
                cross_heads,
                cross_head_dim,
            )?,
            config
                .decoder_ffn
                .then(|| ResidualFeedForward::new(root.sub("decoder_ff"), query_dim, multiplier))
                .transpose()?,
        );
        let to_logits = Linear::new(root.sub("to_logits"), query_dim, classes, true)?;
        Ok(Self {
            store,
            tokenizer,
            latents,
            query,
            read,
            layers,
            decode,
            to_logits,
        })
    }
}

impl Model for PerceiverIo {
    fn forward(&self, inputs: &Inputs, ctx: &mut ForwardContext<'_>) -> Result<ModelOutput> {
        let inputs = &self.tokenizer.prepare(inputs)?;
        let tokens = self.tokenizer.tokenize(inputs, ctx)?;
        let batch = tokens.values().size()[0];
        let mut x = self.latents.unsqueeze(0).expand([batch, -1, -1], false);
        x = self.read.0.forward_context(&x, &tokens)? + x;
        x = self.read.1.run(&x)?;
        for (layer, (attention, feed_forward)) in self.layers.iter().enumerate() {
            x = feed_forward.run(&(attention.forward_self(&x)? + x))?;
            ctx.record(&format!("layer.{layer}.states"), &x);
        }
        let query = self.query.unsqueeze(0).expand([batch, -1, -1], false);
        let answer = self
            .decode
            .0
            .forward_context(&query, &crate::tokens::Tokens::new(x)?)?;
        let answer = match &self.decode.1 {
            Some(feed_forward) => feed_forward.run(&answer)?,
            None => answer,
        };
        let logits = self.to_logits.forward(&answer)?.squeeze_dim(1);
        Ok(ModelOutput {
            intermediates: ctx.take_intermediates(),
            ..ModelOutput::new(logits)
        })
    }

    fn params(&self) -> &ParamStore {
        &self.store
    }

    fn params_mut(&mut self) -> &mut ParamStore {
        &mut self.store
    }
}
