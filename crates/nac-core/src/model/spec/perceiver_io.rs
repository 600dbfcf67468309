//! Resolved Perceiver IO.

use serde::Serialize;

use super::attention::PlainAttentionSpec;
use super::layer::{LinearSpec, NormSpec, positive};
use super::node::{Node, OwnTensor, join, trained};
use crate::model::{Activation, ConfigError, PerceiverIoConfig};

/// Norm, linear, GEGLU, linear, residual.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FeedForwardSpec {
    /// Path of `norm`, `fn.net.0` and `fn.net.2`.
    pub path: String,
    /// Layer norm.
    pub norm: NormSpec,
    /// To both halves of the hidden layer.
    pub expand: LinearSpec,
    /// Features of the hidden layer after GEGLU.
    pub hidden: usize,
    /// Back from it.
    pub contract: LinearSpec,
}

impl FeedForwardSpec {
    pub(super) fn new(path: String, dim: usize, multiplier: usize) -> Self {
        let hidden = dim * multiplier;
        let wide = hidden * Activation::Geglu.width_factor();
        Self {
            norm: NormSpec::new(join(&path, "norm"), dim),
            expand: LinearSpec::new(join(&path, "fn.net.0"), dim, wide, true),
            hidden,
            contract: LinearSpec::new(join(&path, "fn.net.2"), hidden, dim, true),
            path,
        }
    }
}

impl Node for FeedForwardSpec {
    fn path(&self) -> &str {
        &self.path
    }

    fn describe(&self) -> String {
        format!("FFN {0} -> {1} -> {0}, Geglu", self.norm.dim, self.hidden)
    }

    fn children(&self) -> Vec<&dyn Node> {
        vec![&self.norm, &self.expand, &self.contract]
    }
}

/// Attention, then perhaps a feed-forward block.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PerceiverLayerSpec {
    /// Path of a self-attention layer; that of the attention for the others.
    pub path: String,
    /// Path of the layer whose tensors this one uses; `None` if it has its own.
    pub shares: Option<String>,
    /// Attention.
    pub attention: PlainAttentionSpec,
    /// Feed-forward block.
    pub ffn: Option<FeedForwardSpec>,
}

impl Node for PerceiverLayerSpec {
    fn path(&self) -> &str {
        &self.path
    }

    fn describe(&self) -> String {
        "layer".into()
    }

    fn children(&self) -> Vec<&dyn Node> {
        let mut all: Vec<&dyn Node> = vec![&self.attention];
        all.extend(self.ffn.as_ref().map(|ffn| ffn as &dyn Node));
        all
    }

    fn shares(&self) -> Option<&str> {
        self.shares.as_deref()
    }
}

/// Latents attend to the input once, then to each other, and one query attends to them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PerceiverIoSpec {
    /// Number of latents; `latents` is `[latents, latent_dim]`.
    pub latents: usize,
    /// Features of a latent.
    pub latent_dim: usize,
    /// Features of queries.
    pub query_dim: usize,
    /// Whether there is a learned query, `classification_query`, `[1, query_dim]`; if not queries are given.
    pub has_query: bool,
    /// Latents read the tokens.
    pub read: PerceiverLayerSpec,
    /// Self-attention of the latents.
    pub layers: Vec<PerceiverLayerSpec>,
    /// The query reads the latents.
    pub decode: PerceiverLayerSpec,
    /// From an answer to the outputs, if the answer is not the output.
    pub to_logits: Option<LinearSpec>,
}

impl PerceiverIoConfig {
    /// The classifier with these settings but for its tokenizer, for tokens of `token_dim` and `outputs` outputs.
    ///
    /// # Errors
    /// [`ConfigError::Setting`] if a size is zero.
    pub fn resolve(
        &self,
        token_dim: usize,
        outputs: usize,
    ) -> Result<PerceiverIoSpec, ConfigError> {
        self.resolve_with(token_dim, Some(outputs), true)
    }

    /// As [`resolve`](Self::resolve), with a linear layer to `outputs` if there are any, and a learned query if
    /// `has_query`.
    ///
    /// # Errors
    /// As [`resolve`](Self::resolve).
    pub fn resolve_with(
        &self,
        token_dim: usize,
        outputs: Option<usize>,
        has_query: bool,
    ) -> Result<PerceiverIoSpec, ConfigError> {
        self.check()?;
        let dim = positive("perceiver_io.latent_dim", self.latent_dim)?;
        let query = positive("perceiver_io.query_dim", self.query_dim())?;
        let cross = (
            positive("perceiver_io.cross_heads", self.cross_heads)?,
            self.cross_head_dim(),
        );
        let own = (
            positive("perceiver_io.latent_heads", self.latent_heads)?,
            self.head_dim,
        );
        let ffn = |path: String, dim| FeedForwardSpec::new(path, dim, self.ffn_multiplier);
        let layer = |path: String, dims, heads, residual, ffn| PerceiverLayerSpec {
            shares: None,
            attention: PlainAttentionSpec::new(path.clone(), dims, heads, residual),
            path,
            ffn,
        };
        let tokens = Some(positive("token_dim", token_dim)?);
        let reading = Some(ffn("cross_attend_blocks.1".into(), dim));
        let layers = (0..self.depth).map(|index| {
            let path = format!("layers.{index}");
            let attention = join(&path, "0");
            PerceiverLayerSpec {
                shares: (index > 0 && self.weight_tie_layers).then(|| "layers.0".to_owned()),
                attention: PlainAttentionSpec::new(attention, (dim, None), own, true),
                ffn: Some(ffn(join(&path, "1"), dim)),
                path,
            }
        });
        let answer = self.decoder_ffn.then(|| ffn("decoder_ff".into(), query));
        let decoder = "decoder_cross_attn".to_owned();
        let to_logits = outputs.map(|outputs| {
            let outputs = positive("outputs", outputs)?;
            Ok::<_, ConfigError>(LinearSpec::new("to_logits".into(), query, outputs, true))
        });
        Ok(PerceiverIoSpec {
            latents: positive("perceiver_io.latents", self.latents)?,
            latent_dim: dim,
            query_dim: query,
            has_query,
            read: layer(
                "cross_attend_blocks.0".into(),
                (dim, tokens),
                cross,
                true,
                reading,
            ),
            layers: layers.collect(),
            decode: layer(decoder, (query, Some(dim)), cross, false, answer),
            to_logits: to_logits.transpose()?,
        })
    }
}

impl Node for PerceiverIoSpec {
    fn path(&self) -> &str {
        ""
    }

    fn describe(&self) -> String {
        let (latents, dim) = (self.latents, self.latent_dim);
        format!("Perceiver IO, {latents} latents of {dim}")
    }

    fn children(&self) -> Vec<&dyn Node> {
        let mut all: Vec<&dyn Node> = vec![&self.read];
        all.extend(self.layers.iter().map(|layer| layer as &dyn Node));
        all.push(&self.decode);
        let linear = self.to_logits.as_ref();
        all.extend(linear.map(|linear| linear as &dyn Node));
        all
    }

    fn tensors(&self) -> Vec<OwnTensor> {
        let query = trained("classification_query", &[1, self.query_dim]);
        let mut all = vec![trained("latents", &[self.latents, self.latent_dim])];
        all.extend(self.has_query.then_some(query));
        all
    }
}
