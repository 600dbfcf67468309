//! The training loop, for any model, data set, loss, metrics sink and checkpoint store.
//!
//! Random draws are functions of seed and step (noise), of seed, epoch and index (data): a run that is saved
//! and resumed takes the very same steps, on the CPU bit for bit.

mod evaluate;
mod interrupt;
mod observe;
mod options;
mod progress;
mod resume;
mod step;

use std::sync::Arc;
use std::time::Instant;

use nac_core::rng::Streams;
use nac_data::{Dataset, EpochIter, Loader, LoaderOptions};
use nac_modules::model::Model;

pub(crate) use evaluate::require_classes;
pub use evaluate::{Evaluation, evaluate};
pub use interrupt::Interrupt;
pub use options::TrainerOptions;
pub use progress::ProgressMode;

use self::progress::{Reporter, Shown};
use self::step::StepValues;
use crate::checkpoint::{CheckpointStore, NoCheckpoints, TrainState};
use crate::error::{Result, TrainError};
use crate::loss::LossTerm;
use crate::metrics::{MetricsSink, NoMetrics};
use crate::optim::{AdamW, Schedule};

/// How a training loop ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// All steps are done.
    Finished,
    /// It was interrupted after a step, and saved.
    Interrupted,
}

/// Trains a model. See the crate's first page for an example.
pub struct Trainer {
    model: Box<dyn Model>,
    losses: Vec<Box<dyn LossTerm>>,
    optimizer: AdamW,
    schedule: Schedule,
    loader: Loader,
    validation: Option<Arc<dyn Dataset>>,
    options: TrainerOptions,
    metrics: Box<dyn MetricsSink>,
    checkpoints: Box<dyn CheckpointStore>,
    interrupt: Interrupt,
    progress: (ProgressMode, String),
    state: TrainState,
    /// Step of the last checkpoint of this process.
    saved: Option<u64>,
    started: Instant,
    earlier_seconds: f64,
}

impl std::fmt::Debug for Trainer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trainer")
            .field("options", &self.options)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

impl Trainer {
    /// A trainer of `model` on `train`, which minimizes the sum of `losses`.
    ///
    /// # Errors
    /// The data set is empty or has a wrong description, there is no loss term, two have one name, or an
    /// option is out of range.
    pub fn new(
        model: Box<dyn Model>,
        losses: Vec<Box<dyn LossTerm>>,
        train: Arc<dyn Dataset>,
        options: TrainerOptions,
    ) -> Result<Self> {
        let mut names: Vec<&str> = losses.iter().map(|term| term.name()).collect();
        names.sort_unstable();
        if names.is_empty() || names.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(TrainError::setting(
                "losses",
                format!("{names:?}"),
                "need at least one, each with its own name",
            ));
        }
        if train.is_empty() || options.batch_size == 0 || options.log_every == 0 {
            let value = format!(
                "{} examples, batch_size {}",
                train.len(),
                options.batch_size
            );
            return Err(TrainError::setting(
                "training",
                value,
                "examples, batch_size and log_every must be positive",
            ));
        }
        require_classes(train.info())?;
        let loader_options = LoaderOptions {
            batch_size: options.batch_size,
            shuffle: true,
            drop_last: train.len() >= options.batch_size,
            workers: options.workers,
            seed: Streams::new(options.seed).derive("data/order"),
            transform: options.transform.clone(),
        };
        let loader = Loader::new(train, loader_options)?;
        let state = TrainState {
            seed: options.seed,
            config_digest: options.config_digest.clone(),
            ..TrainState::default()
        };
        Ok(Self {
            optimizer: AdamW::new(model.params(), &options.optimizer),
            schedule: Schedule::new(&options.optimizer, options.steps),
            model,
            losses,
            loader,
            validation: None,
            options,
            metrics: Box::new(NoMetrics),
            checkpoints: Box::new(NoCheckpoints),
            interrupt: Interrupt::new(),
            progress: (ProgressMode::Quiet, String::new()),
            state,
            saved: None,
            started: Instant::now(),
            earlier_seconds: 0.0,
        })
    }

    /// Evaluates on `validation` every `evaluate_every` steps and after the last.
    #[must_use]
    pub fn with_validation(mut self, validation: Arc<dyn Dataset>) -> Self {
        self.validation = Some(validation);
        self
    }

    /// Sends metrics to `metrics`.
    #[must_use]
    pub fn with_metrics(mut self, metrics: impl MetricsSink + 'static) -> Self {
        self.metrics = Box::new(metrics);
        self
    }

    /// Saves to and resumes from `checkpoints`.
    #[must_use]
    pub fn with_checkpoints(mut self, checkpoints: impl CheckpointStore + 'static) -> Self {
        self.checkpoints = Box::new(checkpoints);
        self
    }

    /// Stops after a step when `interrupt` is raised.
    #[must_use]
    pub fn with_interrupt(mut self, interrupt: Interrupt) -> Self {
        self.interrupt = interrupt;
        self
    }

    /// Shows progress, each line after `label`.
    #[must_use]
    pub fn with_progress(mut self, mode: ProgressMode, label: impl Into<String>) -> Self {
        self.progress = (mode, label.into());
        self
    }

    /// The model.
    pub fn model(&self) -> &dyn Model {
        self.model.as_ref()
    }

    /// How far the run is and what it measured.
    pub fn state(&self) -> &TrainState {
        &self.state
    }

    /// Seconds spent so far, over all parts of the run.
    pub fn wall_seconds(&self) -> f64 {
        self.earlier_seconds + self.started.elapsed().as_secs_f64()
    }

    /// Trains up to the last step, evaluates and saves.
    ///
    /// # Errors
    /// A loss or gradient is not finite ([`TrainError::NotFinite`]; the last checkpoint stays); data cannot be
    /// read; metrics or a checkpoint cannot be written.
    pub fn train(&mut self) -> Result<Outcome> {
        let (mode, label) = self.progress.clone();
        let mut reporter = Reporter::new(mode, &label, self.state.step, self.options.steps);
        let mut batches: Option<EpochIter> = None;
        while self.state.step < self.options.steps {
            let before = Instant::now();
            let batch = match batches.as_mut().and_then(Iterator::next) {
                Some(batch) => batch?,
                None => self.start_epoch(&mut batches)?,
            };
            let values = self.step(&batch)?;
            self.count(&values, batch.len(), before);
            self.after_step(&values, &mut reporter)?;
            if self.interrupt.is_raised() && self.state.step < self.options.steps {
                self.save()?;
                return Ok(Outcome::Interrupted);
            }
        }
        self.save()?;
        Ok(Outcome::Finished)
    }

    /// Opens the epoch that the next step lies in, and gives the batch of that step.
    fn start_epoch(&self, batches: &mut Option<EpochIter>) -> Result<nac_data::Batch> {
        let per_epoch = self.loader.batches_per_epoch() as u64;
        let (epoch, skip) = (self.state.step / per_epoch, self.state.step % per_epoch);
        let mut iterator = self
            .loader
            .epoch(epoch, usize::try_from(skip).unwrap_or(usize::MAX));
        let first = iterator.next();
        *batches = Some(iterator);
        Ok(first
            .ok_or_else(|| TrainError::State(format!("epoch {epoch} has no batch {skip}")))??)
    }

    fn count(&mut self, values: &StepValues, examples: usize, before: Instant) {
        self.state.train_seconds += before.elapsed().as_secs_f64();
        self.state.examples += examples as u64;
        let running = &mut self.state.running;
        running.steps += 1;
        running.examples += examples as u64;
        running.correct += values.correct;
        running.loss += values.loss;
        for (name, value) in &values.terms {
            *running.terms.entry(name.clone()).or_default() += value;
        }
    }

    fn after_step(&mut self, values: &StepValues, reporter: &mut Reporter) -> Result<()> {
        let (step, last) = (self.state.step, self.state.step == self.options.steps);
        let due = |every: u64| last || (every > 0 && step.is_multiple_of(every));
        let running = &self.state.running;
        reporter.step(&Shown {
            step,
            loss: running.loss / running.steps as f64,
            accuracy: running.correct / running.examples as f64,
            examples_per_second: self.examples_per_second(),
        });
        if due(self.options.log_every) {
            self.log(values)?;
        }
        if due(self.options.evaluate_every) {
            self.validate(reporter)?;
        }
        if due(self.options.checkpoint_every) {
            self.save()?;
        }
        Ok(())
    }

    /// Training examples per second, evaluation not counted.
    pub fn examples_per_second(&self) -> f64 {
        self.state.examples as f64 / self.state.train_seconds.max(1e-9)
    }

    /// Evaluates the model as it is.
    ///
    /// # Errors
    /// As [`evaluate()`].
    pub fn evaluate(&self, dataset: &Arc<dyn Dataset>) -> Result<Evaluation> {
        let TrainerOptions {
            eval_batch_size,
            workers,
            seed,
            ..
        } = self.options;
        evaluate(self.model.as_ref(), dataset, eval_batch_size, workers, seed)
    }
}
