//! The resolved stem-only baseline.

use serde::Serialize;

use super::layer::{LinearSpec, NormSpec, positive};
use super::node::Node;
use crate::model::{ConfigError, StemOnlyConfig};

/// Mean of the tokens that are not padding, perhaps a layer norm, linear head.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StemOnlySpec {
    /// Layer norm of the mean.
    pub norm: Option<NormSpec>,
    /// From the mean to the outputs.
    pub to_logits: LinearSpec,
}

impl StemOnlyConfig {
    /// The classifier with these settings but for its tokenizer, for tokens of `token_dim` and `outputs` outputs.
    ///
    /// # Errors
    /// [`ConfigError::Setting`] if a size is zero.
    pub fn resolve(&self, token_dim: usize, outputs: usize) -> Result<StemOnlySpec, ConfigError> {
        let dim = positive("token_dim", token_dim)?;
        let outputs = positive("outputs", outputs)?;
        Ok(StemOnlySpec {
            norm: (self.layer_norm).then(|| NormSpec::new("norm".into(), dim)),
            to_logits: LinearSpec::new("to_logits".into(), dim, outputs, true),
        })
    }
}

impl Node for StemOnlySpec {
    fn path(&self) -> &str {
        ""
    }

    fn describe(&self) -> String {
        format!("mean of tokens of {}", self.to_logits.input)
    }

    fn children(&self) -> Vec<&dyn Node> {
        let norm = self.norm.iter().map(|norm| norm as &dyn Node);
        norm.chain([&self.to_logits as &dyn Node]).collect()
    }
}
