//! `[training]`: how long, in what batches, how often to look.

use serde::{Deserialize, Serialize};

/// How long to train and how often to evaluate and save.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainingConfig {
    /// Optimizer steps; give this or `epochs`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<u64>,
    /// Passes over the training examples; 10 if neither is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epochs: Option<u64>,
    /// Examples per batch. Default 32.
    pub batch_size: usize,
    /// Batches per step: their gradients are accumulated before the weights change. Default 1.
    pub accumulate: usize,
    /// Examples per batch in evaluation. Default 128.
    pub eval_batch_size: usize,
    /// Steps between evaluations on the validation split; 0: only after the last step. Default 200.
    pub evaluate_every: u64,
    /// Steps between checkpoints; 0: only after the last step. Default 200.
    pub checkpoint_every: u64,
    /// Checkpoints to keep. Default 2.
    pub keep_checkpoints: usize,
    /// Steps between lines in the metrics file. Default 10.
    pub log_every: u64,
    /// Examples carved from train; or, if the data set has its own validation part, the
    /// greatest number used of it. Default 100.
    pub validation_examples: usize,
    /// Threads that read data ahead. Default 1.
    pub workers: usize,
    /// What is measured besides the loss: some of `accuracy`, `top-<k>`, `mse`, `mae`, `r2`; the first is the primary
    /// metric. Default none: `accuracy` for classes, `mse` for values.
    pub metrics: Vec<String>,
    /// What runs the blocks of the model. Default `auto`.
    pub executor: Executor,
    /// Numbers that products are computed in. Default `float32`.
    pub precision: Precision,
}

/// What runs read-in, attention between modules and feed-forward blocks in training.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Executor {
    /// On the CPU [fused blocks](nac_modules::fused) for all that they cover, libtorch for the rest.
    #[default]
    Auto,
    /// libtorch.
    Torch,
    /// As `auto`, but a block that is not covered is an error.
    Fused,
}

/// Numbers that matrix products of training are computed in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// Single precision.
    #[default]
    Float32,
    /// Operands in bfloat16. Weights, gradients, layer norms, softmax and the optimizer stay in single precision. On the
    /// CPU it is fused blocks that do so; with `executor = "torch"`, and on CUDA, libtorch's autocast.
    Mixed,
}

impl Default for TrainingConfig {
    fn default() -> Self {
        Self {
            steps: None,
            epochs: None,
            batch_size: 32,
            accumulate: 1,
            eval_batch_size: 128,
            evaluate_every: 200,
            checkpoint_every: 200,
            keep_checkpoints: 2,
            log_every: 10,
            validation_examples: 100,
            workers: 1,
            metrics: Vec::new(),
            executor: Executor::default(),
            precision: Precision::default(),
        }
    }
}

impl TrainingConfig {
    /// Epochs if neither `steps` nor `epochs` is given.
    pub const DEFAULT_EPOCHS: u64 = 10;

    /// Optimizer steps, for an epoch of `batches` batches.
    pub fn total_steps(&self, batches: u64) -> u64 {
        self.steps.unwrap_or_else(|| {
            self.epochs
                .unwrap_or(Self::DEFAULT_EPOCHS)
                .saturating_mul(batches)
                .div_ceil(self.accumulate.max(1) as u64)
        })
    }
}
