//! Perceiver IO: latents read the input once, attend to each other, and one query reads the answer.
//!
//! Source: Perceiver IO (arXiv 2107.14795) as the reference uses it for its baseline: cross-attention and
//! feed-forward, `depth` layers of self-attention and feed-forward with their own or tied weights, decoder
//! cross-attention without residual, perhaps a decoder feed-forward, linear head on one learned query.

use nac_core::model::spec::PerceiverIoSpec;
use tch::Tensor;

use super::PerceiverIoConfig;
use crate::attention::{PlainLayer, Sources};
use crate::context::ForwardContext;
use crate::error::Result;
use crate::inputs::Inputs;
use crate::layer::Linear;
use crate::model::{Model, ModelOutput};
use crate::params::{Init, ParamStore, Scope};
use crate::shape;
use crate::tokenizer::Tokenizer;
use crate::tokens::Tokens;

/// Latents that read tokens and are read by queries: a Perceiver IO without its tokenizer.
#[derive(Debug)]
pub struct PerceiverCore {
    latents: Tensor,
    query: Option<Tensor>,
    read: PlainLayer,
    layers: Vec<PlainLayer>,
    decode: PlainLayer,
    to_logits: Option<Linear>,
}

impl PerceiverCore {
    /// The model of `spec`.
    ///
    /// # Errors
    /// A size is zero or a name is taken.
    pub fn new(scope: &mut Scope<'_>, spec: &PerceiverIoSpec) -> Result<Self> {
        let start = Init::Normal { std: 1.0 };
        let size = [
            shape::positive("latents", spec.latents)?,
            shape::positive("latent_dim", spec.latent_dim)?,
        ];
        let latents = scope.parameter("latents", &size, start)?;
        let size = [1, shape::positive("query_dim", spec.query_dim)?];
        let query = spec
            .has_query
            .then(|| scope.parameter("classification_query", &size, start))
            .transpose()?;
        let read = PlainLayer::new(scope, &spec.read)?;
        let layers = spec.layers.iter().map(|spec| PlainLayer::new(scope, spec));
        let layers = layers.collect::<Result<_>>()?;
        let to_logits = spec.to_logits.as_ref();
        Ok(Self {
            latents,
            query,
            read,
            layers,
            decode: PlainLayer::new(scope, &spec.decode)?,
            to_logits: to_logits
                .map(|linear| Linear::from_spec(scope, linear))
                .transpose()?,
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
        let latents = self.latents.unsqueeze(0).expand([batch, -1, -1], false);
        let shared = Some(&self.latents);
        let mut x = self
            .read
            .run((&latents, shared), Sources::Context(tokens), ctx)?;
        for (index, layer) in self.layers.iter().enumerate() {
            x = layer.run((&x, None), Sources::Own { mask: None }, ctx)?;
            ctx.record(&format!("layer.{index}.states"), &x);
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
    pub fn decode(
        &self,
        latents: Tensor,
        queries: &Tensor,
        ctx: &mut ForwardContext<'_>,
    ) -> Result<Tensor> {
        let batch = latents.size().first().copied().unwrap_or(0);
        let (expanded, shared) = match queries.dim() {
            2 => {
                let expanded = queries.f_unsqueeze(0)?.f_expand([batch, -1, -1], false)?;
                (expanded, Some(queries))
            }
            _ => (queries.shallow_clone(), None),
        };
        let latents = Tokens::new(latents)?;
        let answer = self
            .decode
            .run((&expanded, shared), Sources::Context(&latents), ctx)?;
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
        outputs: usize,
        tokenizer: impl FnOnce(Scope<'_>) -> Result<Box<dyn Tokenizer>>,
    ) -> Result<Self> {
        let tokenizer = tokenizer(store.root().sub("tokenizer"))?;
        let spec = config.resolve(tokenizer.token_dim(), outputs)?;
        let core = PerceiverCore::new(&mut store.root(), &spec)?;
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
        let logits = self.core.decode(latents, query, ctx)?.f_squeeze_dim(1)?;
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
        let spec = config.resolve_with(5, None, false).unwrap();
        let core = PerceiverCore::new(&mut store.root(), &spec).unwrap();
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
        let answers = core
            .decode(latents.shallow_clone(), &queries, &mut ctx)
            .unwrap();
        assert_eq!(answers.size(), [2, 7, 6]);
        let each = queries.unsqueeze(0).repeat([2, 1, 1]);
        let same = core.decode(latents, &each, &mut ctx).unwrap();
        assert!(answers.allclose(&same, 1e-6, 1e-6, false));
    }
}
