//! How a [`Trainer`](super::Trainer) trains.

use std::sync::Arc;
use std::time::Duration;

use nac_data::Transform;

use crate::config::{Compress, Executor, Precision, ValidConfig};
use crate::error::{Result, TrainError};

/// Settings of a training loop.
#[derive(Clone)]
pub struct TrainerOptions {
    /// Seed of data order, augmentation and noise. Default 0.
    pub seed: u64,
    /// Optimizer steps. Default 100.
    pub steps: u64,
    /// Examples per batch. Default 32.
    pub batch_size: usize,
    /// Batches per step: their gradients are put together before the weights change. Default 1.
    pub accumulate: usize,
    /// Examples per batch in evaluation. Default 128.
    pub eval_batch_size: usize,
    /// Steps between evaluations; 0: only after the last step. Default 0.
    pub evaluate_every: u64,
    /// Steps between checkpoints; 0: only after the last step. Default 0.
    pub checkpoint_every: u64,
    /// Steps between training events. Default 10.
    pub log_every: u64,
    /// Threads that read data ahead. Default 1.
    pub workers: usize,
    /// Greatest global norm of the gradient; longer ones are shortened. Default none.
    pub clip_norm: Option<f64>,
    /// Names of the parameters that are trained, with `*` for any text. Default `["*"]`.
    pub trained: Vec<String>,
    /// Random change of training examples. Default none.
    pub transform: Option<Arc<dyn Transform>>,
    /// What runs the blocks of the model. Default [`Executor::Auto`].
    pub executor: Executor,
    /// Numbers that products are computed in. Default [`Precision::Float32`].
    pub precision: Precision,
    /// Threads of fused blocks; 0: as many as libtorch has. Default 0.
    pub threads: usize,
    /// How gradients travel between processes. Default as they are.
    pub compress: Compress,
    /// How long to wait for the other processes where all of them meet. Default 120 s.
    pub process_timeout: Duration,
    /// Settings of the run as TOML, stored in checkpoints; a checkpoint with others is refused. Default empty.
    pub settings: String,
}

impl std::fmt::Debug for TrainerOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TrainerOptions")
            .field("seed", &self.seed)
            .field("steps", &self.steps)
            .finish_non_exhaustive()
    }
}

impl Default for TrainerOptions {
    fn default() -> Self {
        Self {
            seed: 0,
            steps: 100,
            batch_size: 32,
            accumulate: 1,
            eval_batch_size: 128,
            evaluate_every: 0,
            checkpoint_every: 0,
            log_every: 10,
            workers: 1,
            clip_norm: None,
            trained: vec!["*".into()],
            transform: None,
            executor: Executor::default(),
            precision: Precision::default(),
            threads: 0,
            compress: Compress::default(),
            process_timeout: Duration::from_secs(120),
            settings: String::new(),
        }
    }
}

impl TrainerOptions {
    /// The options that a configuration gives for a training set of `examples`.
    pub fn from_config(config: &ValidConfig, examples: usize) -> Self {
        let training = &config.training;
        let batches = batches_per_epoch(examples, training.batch_size);
        Self {
            seed: config.seed,
            steps: training.total_steps(batches),
            batch_size: training.batch_size,
            accumulate: training.accumulate,
            eval_batch_size: training.eval_batch_size,
            evaluate_every: training.evaluate_every,
            checkpoint_every: training.checkpoint_every,
            log_every: training.log_every,
            workers: training.workers,
            clip_norm: config.optimizer.clip_norm,
            trained: config.optimizer.trained.clone(),
            transform: None,
            executor: training.executor,
            precision: training.precision,
            threads: config.threads,
            compress: config.processes.compress,
            process_timeout: config.processes.timeout(),
            settings: String::new(),
        }
    }

    /// An error if an option is out of range for a training set of `examples`.
    pub(super) fn check(&self, examples: usize) -> Result<()> {
        let at_least_one = [
            ("training examples", examples as u64),
            ("training.batch_size", self.batch_size as u64),
            ("training.accumulate", self.accumulate as u64),
            ("training.log_every", self.log_every),
        ];
        for (name, value) in at_least_one {
            if value == 0 {
                return Err(TrainError::setting(name, value, "must be at least 1"));
            }
        }
        Ok(())
    }
}

/// Full batches of an epoch; a training set smaller than a batch makes one smaller batch.
fn batches_per_epoch(examples: usize, batch_size: usize) -> u64 {
    (examples / batch_size.max(1)).max(1) as u64
}
