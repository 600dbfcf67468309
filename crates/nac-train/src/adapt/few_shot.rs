//! One adaptation: a few steps on the examples of one episode, with a look at other examples after some of them.

use std::sync::Arc;

use nac_data::{Dataset, SharedDataset};
use nac_modules::model::Model;
use tch::Device;

use super::config::AdaptTraining;
use super::source::SourceModel;
use crate::config::OptimizerConfig;
use crate::error::{Result, TrainError};
use crate::finite::require_finite;
use crate::metrics::{Accuracy, Evaluation};
use crate::optim::AdamW;
use crate::trainer::{Interrupt, Outcome, Trainer, TrainerOptions};

/// What is adapted, and how.
#[derive(Debug)]
pub(super) struct FewShot<'a> {
    pub(super) model: &'a SourceModel,
    pub(super) device: Device,
    /// Patterns of the parameters that are trained.
    pub(super) trained: &'a [String],
    pub(super) training: &'a AdaptTraining,
    pub(super) threads: usize,
    pub(super) learning_rate: f64,
    /// Seed of the new head, of noise and of the order of examples.
    pub(super) seed: u64,
}

/// What came out.
pub(super) struct Adapted {
    /// One evaluation for each number of steps.
    pub(super) evaluations: Vec<Evaluation>,
    /// How many values were trained.
    pub(super) trained_values: usize,
    pub(super) trainer: Trainer,
}

impl Adapted {
    /// The adapted model.
    pub(super) fn model(&self) -> &dyn Model {
        self.trainer.model()
    }
}

impl FewShot<'_> {
    /// Trains on `support` and evaluates on `query` after each of `steps`, which increase. None if it was asked to stop.
    ///
    /// The learning rate is constant, so that the model after some steps is the same whatever comes after them.
    ///
    /// # Errors
    /// The examples do not go with the model, a loss is not finite, or libtorch fails.
    pub(super) fn run(
        &self,
        support: SharedDataset,
        query: &Arc<dyn Dataset>,
        steps: &[u64],
        interrupt: &Interrupt,
    ) -> Result<Option<Adapted>> {
        let last = steps.last().copied().unwrap_or(0);
        let training = self.training;
        let model = self
            .model
            .build(&support.info().output, self.device, self.seed)?;
        let optimizer = OptimizerConfig {
            weight_decay: training.weight_decay,
            ..OptimizerConfig::default()
        };
        let options = TrainerOptions {
            seed: self.seed,
            steps: last,
            batch_size: training.batch_size.min(support.len()),
            eval_batch_size: training.eval_batch_size,
            log_every: last.max(1),
            // Threads cost more than the few examples.
            workers: 0,
            clip_norm: Some(training.clip_norm),
            trained: self.trained.to_vec(),
            executor: training.executor,
            precision: training.precision,
            threads: self.threads,
            ..TrainerOptions::default()
        };
        let mut trainer = Trainer::builder(model, support)
            .options(options)
            .optimizer(AdamW::new(&optimizer))
            .schedule(self.learning_rate)
            .metric(Accuracy)
            .interrupt(interrupt.clone())
            .build()?;
        let parameters = trainer.model().params().parameters();
        let trained = parameters.filter(|(_, tensor)| tensor.requires_grad());
        let trained_values = trained.map(|(_, tensor)| tensor.numel()).sum();
        let mut evaluations = Vec::with_capacity(steps.len());
        for &step in steps {
            if trainer.train_until(step)? != Outcome::Finished || interrupt.is_raised() {
                return Ok(None);
            }
            let found = trainer.evaluate(query)?;
            evaluations.push(require_finite(found)?);
        }
        Ok(Some(Adapted {
            evaluations,
            trained_values,
            trainer,
        }))
    }
}

/// Accuracy of an evaluation.
///
/// # Errors
/// It was not measured.
pub(super) fn accuracy(found: &Evaluation) -> Result<f64> {
    let none = || TrainError::State("an evaluation without accuracy".into());
    found.metric("accuracy").ok_or_else(none)
}
