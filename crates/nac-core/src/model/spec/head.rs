//! Resolved heads.

use serde::Serialize;

use super::layer::{LinearSpec, positive};
use super::node::{Node, join};
use crate::model::{ConfigError, HeadConfig, HeadKind, PoolingSoftmax};

/// Softmax over the confidences of read-out modules, weighted sum of their states, linear layer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ConfidencePoolingSpec {
    /// Path of the layers below; Gumbel noise draws from its `confidence`.
    pub path: String,
    /// From a state to its confidence.
    pub confidence_scorer: LinearSpec,
    /// From the pooled state to the outputs.
    pub to_logits: LinearSpec,
    /// How confidences become weights.
    pub softmax: PoolingSoftmax,
    /// Temperature of the softmax.
    pub temperature: f64,
    /// Whether Gumbel noise is drawn in evaluation too.
    pub noise_in_evaluation: bool,
}

/// From what the read-out gives to the outputs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum HeadSpec {
    /// Confidence-weighted pooling over all read-out modules.
    ConfidencePooling(ConfidencePoolingSpec),
    /// The output of the first read-out module; no parameters.
    FirstSlot,
}

impl HeadConfig {
    /// The head with these settings at `path`, from states of `state_dim` to `outputs`.
    ///
    /// # Errors
    /// [`ConfigError::Setting`] if the temperature is not a positive number or a size is zero.
    pub fn resolve(
        &self,
        path: &str,
        state_dim: usize,
        outputs: usize,
    ) -> Result<HeadSpec, ConfigError> {
        self.check()?;
        let linear = |name, outputs| LinearSpec::new(join(path, name), state_dim, outputs, true);
        Ok(match self.kind {
            HeadKind::FirstSlot => HeadSpec::FirstSlot,
            HeadKind::ConfidencePooling => HeadSpec::ConfidencePooling(ConfidencePoolingSpec {
                path: path.to_owned(),
                confidence_scorer: linear("confidence_scorer", 1),
                to_logits: linear("to_logits", positive("outputs", outputs)?),
                softmax: self.softmax,
                temperature: self.temperature,
                noise_in_evaluation: self.noise_in_evaluation,
            }),
        })
    }
}

impl Node for HeadSpec {
    fn path(&self) -> &str {
        match self {
            Self::ConfidencePooling(head) => &head.path,
            Self::FirstSlot => HEAD_PATH,
        }
    }

    fn describe(&self) -> String {
        match self {
            Self::ConfidencePooling(head) => format!("pooling by confidence, {:?}", head.softmax),
            Self::FirstSlot => "first slot".into(),
        }
    }

    fn children(&self) -> Vec<&dyn Node> {
        match self {
            Self::ConfidencePooling(head) => vec![&head.confidence_scorer, &head.to_logits],
            Self::FirstSlot => Vec::new(),
        }
    }
}

/// Path of the head in a whole model, as in the reference.
pub(super) const HEAD_PATH: &str = "output_tokenizer";
