//! `[optimizer]`: which one, and the learning rate over the steps. Defaults are the paper's.

use serde::{Deserialize, Serialize};

/// Which optimizer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum OptimizerKind {
    /// [`AdamW`](crate::optim::AdamW).
    #[default]
    AdamW,
}

/// Settings of the optimizer and of the learning rate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OptimizerConfig {
    /// `adamw`.
    pub kind: OptimizerKind,
    /// Greatest learning rate. Default 5e-4. (The paper takes 3e-4 to 5e-4 per 512 examples of a batch.)
    pub learning_rate: f64,
    /// Decay of the running means of gradient and squared gradient. Default `[0.9, 0.999]`.
    pub betas: [f64; 2],
    /// Added to the denominator. Default 1e-8.
    pub eps: f64,
    /// Weight decay, of matrices only; see [`optim::decays`](crate::optim::decays). Default 0.05.
    pub weight_decay: f64,
    /// Learning rate at the end of the cosine. Default 1e-5.
    pub min_lr: f64,
    /// Steps of linear warm-up. Default 100.
    pub warmup_steps: u64,
    /// Learning rate of the first step, if there is a warm-up. Default 1e-6.
    pub warmup_from: f64,
    /// Greatest global norm of the gradient; longer ones are shortened. Default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip_norm: Option<f64>,
    /// Names of the parameters that are trained, with `*` for any text; the others stay as they are. Default `["*"]`, all.
    pub trained: Vec<String>,
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        Self {
            kind: OptimizerKind::AdamW,
            learning_rate: 5e-4,
            betas: [0.9, 0.999],
            eps: 1e-8,
            weight_decay: 0.05,
            min_lr: 1e-5,
            warmup_steps: 100,
            warmup_from: 1e-6,
            clip_norm: None,
            trained: vec!["*".into()],
        }
    }
}
