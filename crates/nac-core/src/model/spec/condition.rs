//! Resolved part of the circuit generator that a text goes through.

use serde::Serialize;

use super::attention::PlainAttentionSpec;
use super::layer::{LinearSpec, NormSpec, positive};
use super::node::{Node, OwnTensor, join, trained};
use super::perceiver_io::{FeedForwardSpec, PerceiverLayerSpec};
use super::tokenizer::TokenizerSpec;
use crate::model::{ConfigError, GeneratorConfig, InputKind};

/// What the text adds to signatures or codes: a linear layer without bias, times a gate for each feature.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GatedSpec {
    /// Path of `gate`, `[features]`, which starts at zero.
    pub path: String,
    /// From what a module has read.
    pub linear: LinearSpec,
}

impl GatedSpec {
    fn new(path: String, dim: usize, features: usize) -> Self {
        Self {
            linear: LinearSpec::new(join(&path, "linear"), dim, features, false),
            path,
        }
    }
}

impl Node for GatedSpec {
    fn path(&self) -> &str {
        &self.path
    }

    fn describe(&self) -> String {
        format!("gated {} -> {}", self.linear.input, self.linear.output)
    }

    fn children(&self) -> Vec<&dyn Node> {
        vec![&self.linear]
    }

    fn tensors(&self) -> Vec<OwnTensor> {
        vec![trained("gate", &[self.linear.output])]
    }
}

/// A text, its tokens, and what each module reads from it.
///
/// Modules of all sets, read-in (if they are separate), processors and read-out, in this order, have a query each.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ConditionSpec {
    /// Path of `queries`, `[modules, dim]`, and of everything below.
    pub path: String,
    /// Name of the input.
    pub input: String,
    /// Its form.
    pub kind: InputKind,
    /// Its tokenizer.
    pub tokenizer: TokenizerSpec,
    /// From tokens to the width of the layers.
    pub embed: LinearSpec,
    /// Self-attention over the text.
    pub layers: Vec<PerceiverLayerSpec>,
    /// Modules of all sets together.
    pub modules: usize,
    /// Modules attend to the text.
    pub read: PerceiverLayerSpec,
    /// Norm of what they have read.
    pub norm: NormSpec,
    /// What is added to signatures, if anything.
    pub signatures: Option<GatedSpec>,
    /// What is added to codes, if anything.
    pub codes: Option<GatedSpec>,
}

/// Sizes of the circuit that a text changes.
#[derive(Debug, Clone, Copy)]
pub(super) struct ConditionedSizes {
    /// Modules of all sets.
    pub(super) modules: usize,
    /// Features of a signature.
    pub(super) signature: usize,
    /// Features of a code.
    pub(super) code: usize,
}

impl GeneratorConfig {
    /// The reader of the text `input`, which has this tokenizer, at `path`.
    ///
    /// # Errors
    /// [`ConfigError::Setting`] if a size is zero.
    pub(super) fn resolve_condition(
        &self,
        path: &str,
        (input, kind): (&str, &InputKind),
        tokenizer: TokenizerSpec,
        sizes: ConditionedSizes,
    ) -> Result<ConditionSpec, ConfigError> {
        let dim = positive("generator.dim", self.dim)?;
        let heads = (
            positive("generator.heads", self.heads)?,
            positive("generator.head_dim", self.head_dim)?,
        );
        let multiplier = positive("generator.ffn_multiplier", self.ffn_multiplier)?;
        let layer = |path: String, context: Option<usize>| PerceiverLayerSpec {
            attention: PlainAttentionSpec::new(join(&path, "0"), (dim, context), heads, true),
            ffn: Some(FeedForwardSpec::new(join(&path, "1"), dim, multiplier)),
            shares: None,
            path,
        };
        let at = |name: &str| join(path, name);
        let gated = |name: &str, features| GatedSpec::new(at(name), dim, features);
        Ok(ConditionSpec {
            path: path.to_owned(),
            input: input.to_owned(),
            kind: kind.clone(),
            embed: LinearSpec::new(at("embed"), tokenizer.token_dim(), dim, true),
            tokenizer,
            layers: (0..self.layers)
                .map(|index| layer(at(&format!("layers.{index}")), None))
                .collect(),
            modules: sizes.modules,
            read: layer(at("read"), Some(dim)),
            norm: NormSpec::new(at("norm"), dim),
            signatures: self
                .signatures
                .then(|| gated("signatures", sizes.signature)),
            codes: self.codes.then(|| gated("codes", sizes.code)),
        })
    }
}

impl Node for ConditionSpec {
    fn path(&self) -> &str {
        &self.path
    }

    fn describe(&self) -> String {
        let changed = match (&self.signatures, &self.codes) {
            (Some(_), Some(_)) => "signatures and codes",
            (Some(_), None) => "signatures",
            _ => "codes",
        };
        format!("{changed} from input `{}`", self.input)
    }

    fn children(&self) -> Vec<&dyn Node> {
        let mut all: Vec<&dyn Node> = vec![&self.tokenizer, &self.embed];
        all.extend(self.layers.iter().map(|layer| layer as &dyn Node));
        all.extend([&self.read as &dyn Node, &self.norm]);
        let gated = self.signatures.iter().chain(&self.codes);
        all.extend(gated.map(|gated| gated as &dyn Node));
        all
    }

    fn tensors(&self) -> Vec<OwnTensor> {
        vec![trained("queries", &[self.modules, self.norm.dim])]
    }
}
