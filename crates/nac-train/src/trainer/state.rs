//! [`Trainer`]: what it holds and how far it is.

use std::sync::Arc;
use std::time::Instant;

use nac_data::{Dataset, Loader};
use nac_dist::Group;
use nac_modules::model::Model;

use super::executor::Passes;
use super::interrupt::Interrupt;
use super::options::TrainerOptions;
use super::stop_signal::StopSignal;
use crate::checkpoint::{CheckpointStore, TrainState};
use crate::loss::LossTerm;
use crate::metrics::{Metric, MetricsSink};
use crate::optim::{Optimizer, Schedule};
use crate::processes::Reducer;
use crate::render::Renderer;

/// How a training loop ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// All steps are done.
    Finished,
    /// It was interrupted after a step, and saved.
    Interrupted(StopSignal),
}

/// Trains a model. See the crate's first page for an example.
pub struct Trainer {
    pub(super) model: Box<dyn Model>,
    pub(super) passes: Passes,
    pub(super) losses: Vec<Box<dyn LossTerm>>,
    /// The first is the primary metric.
    pub(super) metrics: Vec<Box<dyn Metric>>,
    pub(super) optimizer: Box<dyn Optimizer>,
    pub(super) schedule: Box<dyn Schedule>,
    pub(super) loader: Loader,
    pub(super) validation: Option<Arc<dyn Dataset>>,
    pub(super) options: TrainerOptions,
    pub(super) sink: Box<dyn MetricsSink>,
    pub(super) checkpoints: Box<dyn CheckpointStore>,
    pub(super) interrupt: Interrupt,
    pub(super) renderer: Box<dyn Renderer>,
    /// The processes of the run.
    pub(super) group: Arc<dyn Group>,
    pub(super) reducer: Reducer,
    /// Why the processes agreed to stop.
    pub(super) stop: Option<StopSignal>,
    pub(super) state: TrainState,
    /// Batches since the last update.
    pub(super) micro_batch: usize,
    /// Step of the last checkpoint of this process.
    pub(super) saved: Option<u64>,
    pub(super) started: Instant,
    pub(super) earlier_seconds: f64,
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
    /// The model.
    pub fn model(&self) -> &dyn Model {
        self.model.as_ref()
    }

    /// How far the run is and what it measured.
    pub fn state(&self) -> &TrainState {
        &self.state
    }

    /// The processes of the run.
    pub fn group(&self) -> &dyn Group {
        self.group.as_ref()
    }

    /// Name of the primary metric, the first that was given.
    pub fn primary_metric(&self) -> &str {
        self.metrics.first().map_or("", |metric| metric.name())
    }

    /// Seconds spent so far, over all parts of the run.
    pub fn wall_seconds(&self) -> f64 {
        self.earlier_seconds + self.started.elapsed().as_secs_f64()
    }

    /// Training examples per second, evaluation not counted.
    pub fn examples_per_second(&self) -> f64 {
        self.state.examples as f64 / self.state.train_seconds.max(1e-9)
    }
}
