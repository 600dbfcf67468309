//! [`TrainerBuilder`]: the parts of a trainer, with a default for each.

use std::sync::Arc;
use std::time::Instant;

use nac_core::rng::Streams;
use nac_data::{Dataset, Loader, LoaderOptions, Share};
use nac_dist::{Group, Single};
use nac_modules::model::Model;

use super::executor::Passes;
use super::interrupt::Interrupt;
use super::options::TrainerOptions;
use super::state::Trainer;
use crate::checkpoint::{CheckpointStore, NoCheckpoints, TrainState};
use crate::error::{Result, TrainError};
use crate::loss::{CrossEntropy, LossTerm, MeanSquaredError};
use crate::metrics::{self, Metric, MetricsSink, NoMetrics};
use crate::optim::{self, AdamW, Optimizer, Schedule, WarmupCosine};
use crate::processes::Reducer;
use crate::render::{Quiet, Renderer};

/// Puts a [`Trainer`] together.
#[must_use]
pub struct TrainerBuilder {
    model: Box<dyn Model>,
    train: Arc<dyn Dataset>,
    losses: Vec<Box<dyn LossTerm>>,
    metrics: Vec<Box<dyn Metric>>,
    optimizer: Box<dyn Optimizer>,
    schedule: Box<dyn Schedule>,
    validation: Option<Arc<dyn Dataset>>,
    options: TrainerOptions,
    sink: Box<dyn MetricsSink>,
    checkpoints: Box<dyn CheckpointStore>,
    interrupt: Interrupt,
    renderer: Box<dyn Renderer>,
    group: Arc<dyn Group>,
}

impl std::fmt::Debug for TrainerBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TrainerBuilder")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl Trainer {
    /// A trainer of `model` on `train`.
    pub fn builder(model: Box<dyn Model>, train: Arc<dyn Dataset>) -> TrainerBuilder {
        TrainerBuilder {
            model,
            train,
            losses: Vec::new(),
            metrics: Vec::new(),
            optimizer: Box::new(AdamW::default()),
            schedule: Box::new(WarmupCosine::default()),
            validation: None,
            options: TrainerOptions::default(),
            sink: Box::new(NoMetrics),
            checkpoints: Box::new(NoCheckpoints),
            interrupt: Interrupt::new(),
            renderer: Box::new(Quiet),
            group: Arc::new(Single),
        }
    }
}

impl TrainerBuilder {
    /// Adds a term to the loss. Default: cross-entropy for classes, mean squared error for values.
    pub fn loss(self, term: impl LossTerm + 'static) -> Self {
        self.losses([Box::new(term) as Box<dyn LossTerm>])
    }

    /// Adds several terms to the loss.
    pub fn losses(mut self, terms: impl IntoIterator<Item = Box<dyn LossTerm>>) -> Self {
        self.losses.extend(terms);
        self
    }

    /// Adds a metric; the first is the primary one. Default: accuracy for classes, mean squared error for values.
    pub fn metric(self, metric: impl Metric + 'static) -> Self {
        self.metrics([Box::new(metric) as Box<dyn Metric>])
    }

    /// Adds several metrics.
    pub fn metrics(mut self, metrics: impl IntoIterator<Item = Box<dyn Metric>>) -> Self {
        self.metrics.extend(metrics);
        self
    }

    /// Changes the weights with `optimizer`. Default: [`AdamW`] with the paper's settings.
    pub fn optimizer(self, optimizer: impl Optimizer + 'static) -> Self {
        self.boxed_optimizer(Box::new(optimizer))
    }

    /// As [`optimizer`](Self::optimizer), for one that was chosen while the program runs.
    pub fn boxed_optimizer(mut self, optimizer: Box<dyn Optimizer>) -> Self {
        self.optimizer = optimizer;
        self
    }

    /// Takes learning rates from `schedule`; a number is a constant rate. Default: [`WarmupCosine`] with the paper's
    /// settings.
    pub fn schedule(mut self, schedule: impl Schedule + 'static) -> Self {
        self.schedule = Box::new(schedule);
        self
    }

    /// Evaluates on `validation` every [`TrainerOptions::evaluate_every`] steps and after the last. Default: not.
    pub fn validation(mut self, validation: Arc<dyn Dataset>) -> Self {
        self.validation = Some(validation);
        self
    }

    /// Sets all options.
    pub fn options(mut self, options: TrainerOptions) -> Self {
        self.options = options;
        self
    }

    /// Sets [`TrainerOptions::steps`].
    pub fn steps(mut self, steps: u64) -> Self {
        self.options.steps = steps;
        self
    }

    /// Sets [`TrainerOptions::batch_size`].
    pub fn batch_size(mut self, batch_size: usize) -> Self {
        self.options.batch_size = batch_size;
        self
    }

    /// Sends events to `sink`. Default: nowhere.
    pub fn sink(mut self, sink: impl MetricsSink + 'static) -> Self {
        self.sink = Box::new(sink);
        self
    }

    /// Saves to and resumes from `checkpoints`. Default: nothing is saved.
    pub fn checkpoints(mut self, checkpoints: impl CheckpointStore + 'static) -> Self {
        self.checkpoints = Box::new(checkpoints);
        self
    }

    /// Stops after a step when `interrupt` is raised.
    pub fn interrupt(mut self, interrupt: Interrupt) -> Self {
        self.interrupt = interrupt;
        self
    }

    /// Trains together with the other processes of `group`: each takes its share of every batch. Only rank 0 sends events,
    /// saves and shows progress. Default: one process.
    pub fn group(mut self, group: Arc<dyn Group>) -> Self {
        self.group = group;
        self
    }

    /// Shows progress with `renderer`. Default: not.
    pub fn renderer(self, renderer: impl Renderer + 'static) -> Self {
        self.boxed_renderer(Box::new(renderer))
    }

    /// As [`renderer`](Self::renderer), for one that was chosen while the program runs.
    pub fn boxed_renderer(mut self, renderer: Box<dyn Renderer>) -> Self {
        self.renderer = renderer;
        self
    }

    /// The trainer.
    ///
    /// # Errors
    /// The data set is empty or has a wrong description, two loss terms or metrics have one name, an option is out
    /// of range, or no parameter has a name that is to be trained.
    pub fn build(mut self) -> Result<Trainer> {
        let output = &self.train.info().output;
        if self.losses.is_empty() {
            self.losses.push(match output.class_count() {
                Some(_) => Box::new(CrossEntropy::new(0.0)),
                None => Box::new(MeanSquaredError),
            });
        }
        if self.metrics.is_empty() {
            self.metrics = metrics::defaults(output);
        }
        require_distinct(
            "losses",
            self.losses.iter().map(|term| term.name()).collect(),
        )?;
        let mut names: Vec<&str> = self.metrics.iter().map(|metric| metric.name()).collect();
        names.extend(["loss", "epoch"]);
        require_distinct("metrics", names)?;
        self.options.check(self.train.len())?;
        optim::set_trained(self.model.params(), &self.options.trained)?;

        let (options, group) = (self.options, self.group);
        let smallest = options.batch_size.min(self.train.len());
        if group.size() > smallest {
            let reason = format!("each must have an example of every batch, which has {smallest}");
            return Err(TrainError::setting("processes", group.size(), reason));
        }
        let loader_options = LoaderOptions {
            batch_size: options.batch_size,
            shuffle: true,
            drop_last: self.train.len() >= options.batch_size,
            workers: options.workers,
            seed: Streams::new(options.seed).derive("data/order"),
            transform: options.transform.clone(),
            share: Share::new(group.rank(), group.size())?,
        };
        let state = TrainState {
            seed: options.seed,
            ..TrainState::default()
        };
        let first = group.rank() == 0;
        Ok(Trainer {
            passes: Passes::new(&options, self.model.params().device())?,
            model: self.model,
            losses: self.losses,
            metrics: self.metrics,
            optimizer: self.optimizer,
            schedule: self.schedule,
            loader: Loader::new(self.train, loader_options)?,
            validation: self.validation,
            reducer: Reducer::new(options.compress),
            options,
            sink: if first {
                self.sink
            } else {
                Box::new(NoMetrics)
            },
            checkpoints: self.checkpoints,
            interrupt: self.interrupt,
            renderer: if first {
                self.renderer
            } else {
                Box::new(Quiet)
            },
            group,
            stop: None,
            state,
            micro_batch: 0,
            saved: None,
            started: Instant::now(),
            earlier_seconds: 0.0,
        })
    }
}

fn require_distinct(what: &str, mut names: Vec<&str>) -> Result<()> {
    names.sort_unstable();
    if names.windows(2).any(|pair| pair[0] == pair[1]) {
        let names = format!("{names:?}");
        return Err(TrainError::setting(what, names, "each needs its own name"));
    }
    Ok(())
}
