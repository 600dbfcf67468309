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
use crate::tokens::Tokens;

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

/// Latents that read tokens and are read by queries: a Perceiver IO without its tokenizer.
#[derive(Debug)]
pub struct PerceiverCore {
    latents: Tensor,
    query: Option<Tensor>,
    read: (PlainAttention, ResidualFeedForward),
    layers: Vec<(PlainAttention, ResidualFeedForward)>,
    decode: (PlainAttention, Option<ResidualFeedForward>),
    to_logits: Option<Linear>,
}

impl PerceiverCore {
    /// Builds it for tokens of `token_dim`. With `outputs` a linear layer follows the decoder; a `classifier` has one
    /// query of its own.
    ///
    /// # Errors
    /// A setting is out of range or a name is taken.
    pub fn new(
        mut root: Scope<'_>,
        config: &PerceiverIoConfig,
        token_dim: usize,
        (outputs, classifier): (Option<usize>, bool),
    ) -> Result<Self> {
        config.check()?;
        let PerceiverIoConfig {
            latent_dim: dim,
            cross_heads,
            latent_heads,
            head_dim,
            ..
        } = *config;
        let (multiplier, cross_head_dim) = (config.ffn_multiplier, config.cross_head_dim());
        let query_dim = config.query_dim();
        let (count, size) = (
            shape::positive("latents", config.latents)?,
            shape::positive("latent_dim", dim)?,
        );
        let start = Init::Normal { std: 1.0 };
        let latents = root.parameter("latents", &[count, size], start)?;
        let size = [1, shape::positive("query_dim", query_dim)?];
        let query = classifier
            .then(|| root.parameter("classification_query", &size, start))
            .transpose()?;
        let mut cross = |name: &str, dim, context| {
            PlainAttention::new(
                root.sub(name),
                dim,
                Some(context),
                cross_heads,
                cross_head_dim,
            )
        };
        let reading = cross("cross_attend_blocks.0", dim, token_dim)?;
        let decoding = cross("decoder_cross_attn", query_dim, dim)?;
        let after = root.sub("cross_attend_blocks.1");
        let read = (reading, ResidualFeedForward::new(after, dim, multiplier)?);
        let layers = (0..config.depth)
            .map(|layer| {
                if layer > 0 && config.weight_tie_layers {
                    root.alias(format!("layers.{layer}"), "layers.0");
                }
                let mut scope = root.sub(format!("layers.{layer}"));
                let own = PlainAttention::new(scope.sub(0), dim, None, latent_heads, head_dim)?;
                Ok((
                    own,
                    ResidualFeedForward::new(scope.sub(1), dim, multiplier)?,
                ))
            })
            .collect::<Result<_>>()?;
        let decoder_ffn = config
            .decoder_ffn
            .then(|| ResidualFeedForward::new(root.sub("decoder_ff"), query_dim, multiplier))
            .transpose()?;
        let to_logits = outputs
            .map(|outputs| Linear::new(root.sub("to_logits"), query_dim, outputs, true))
            .transpose()?;
        Ok(Self {
            latents,
            query,
            read,
            layers,
            decode: (decoding, decoder_ffn),
            to_logits,
        })
    }

    /// The latents after all layers. Padding tokens are not read.
    ///
    /// # Shapes
    /// - tokens: `[batch, tokens, token_dim]`
    /// - output: `[batch, latents, latent_dim]`
    ///
    /// # Errors
    /// The shapes do not fit.
    pub fn encode(&self, tokens: &Tokens, ctx: &mut ForwardContext<'_>) -> Result<Tensor> {
        let batch = tokens.values().size()[0];
        let mut x = self.latents.unsqueeze(0).expand([batch, -1, -1], false);
        x = self.read.0.forward_context(&x, tokens)? + x;
        x = self.read.1.run(&x)?;
        for (layer, (attention, feed_forward)) in self.layers.iter().enumerate() {
            x = feed_forward.run(&(attention.forward_self(&x)? + x))?;
            ctx.record(&format!("layer.{layer}.states"), &x);
        }
        Ok(x)
    }

    /// What queries read from the latents.
    ///
    /// # Shapes
    /// - latents: `[batch, latents, latent_dim]`
    /// - queries: `[queries, query_dim]` (the same for all examples) or `[batch, queries, query_dim]`
    /// - output: `[batch, queries, outputs]`; `query_dim` wide without a last linear layer
    ///
    /// # Errors
    /// The shapes do not fit.
    pub fn decode(&self, latents: Tensor, queries: &Tensor) -> Result<Tensor> {
        let batch = latents.size().first().copied().unwrap_or(0);
        let queries = match queries.dim() {
            2 => queries.f_unsqueeze(0)?.f_expand([batch, -1, -1], false)?,
            _ => queries.shallow_clone(),
        };
        let (attention, feed_forward) = &self.decode;
        let mut answer = attention.forward_context(&queries, &Tokens::new(latents)?)?;
        if let Some(feed_forward) = feed_forward {
            answer = feed_forward.run(&answer)?;
        }
        match &self.to_logits {
            Some(to_logits) => to_logits.forward(&answer),
            None => Ok(answer),
        }
    }

    /// The classifier's own query, `[1, query_dim]`.
    #[must_use]
    pub fn query(&self) -> Option<&Tensor> {
        self.query.as_ref()
    }
}

/// A Perceiver IO classifier.
pub struct PerceiverIo {
    store: ParamStore,
    tokenizer: Box<dyn Tokenizer>,
    core: PerceiverCore,
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
        let tokenizer = tokenizer(store.root().sub("tokenizer"))?;
        let outputs = (Some(classes), true);
        let core = PerceiverCore::new(store.root(), config, tokenizer.token_dim(), outputs)?;
        Ok(Self {
            store,
            tokenizer,
            core,
        })
    }
}

impl Model for PerceiverIo {
    fn forward(&self, inputs: &Inputs, ctx: &mut ForwardContext<'_>) -> Result<ModelOutput> {
        let inputs = &self.tokenizer.prepare(inputs)?;
        let tokens = self.tokenizer.tokenize(inputs, ctx)?;
        let latents = self.core.encode(&tokens, ctx)?;
        let Some(query) = self.core.query() else {
            unreachable!("`new` builds a classifier");
        };
        let logits = self.core.decode(latents, query)?.f_squeeze_dim(1)?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind};

    const CPU: (Kind, Device) = (Kind::Float, Device::Cpu);

    #[test]
    fn padding_is_not_read_and_queries_may_be_shared() {
        let config = PerceiverIoConfig {
            depth: 2,
            latents: 3,
            latent_dim: 8,
            query_dim: Some(6),
            latent_heads: 2,
            head_dim: 4,
            weight_tie_layers: true,
            ..Default::default()
        };
        let mut store = ParamStore::new(Device::Cpu, Kind::Float, 3);
        let core = PerceiverCore::new(store.root(), &config, 5, (None, false)).unwrap();
        assert!(core.query().is_none());
        assert!(store.get("to_logits.weight").is_none());
        let mut ctx = ForwardContext::evaluation();
        let values = Tensor::randn([2, 4, 5], CPU);
        let short = Tokens::new(values.narrow(1, 0, 3)).unwrap();
        let real = Tensor::arange(4, CPU).lt(3.0).expand([2, 4], false);
        let masked = Tokens::masked(values, real).unwrap();
        let latents = core.encode(&masked, &mut ctx).unwrap();
        let expected = core.encode(&short, &mut ctx).unwrap();
        assert!(latents.allclose(&expected, 1e-5, 1e-6, false));
        let queries = Tensor::randn([7, 6], CPU);
        let answers = core.decode(latents.shallow_clone(), &queries).unwrap();
        assert_eq!(answers.size(), [2, 7, 6]);
        let each = queries.unsqueeze(0).repeat([2, 1, 1]);
        let same = core.decode(latents, &each).unwrap();
        assert!(answers.allclose(&same, 1e-6, 1e-6, false));
    }
}
