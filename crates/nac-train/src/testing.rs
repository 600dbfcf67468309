//! Test doubles for code that trains: sinks, stores and renderers in memory, losses of known value, and an optimizer
//! that records its steps.

use std::cell::RefCell;
use std::rc::Rc;

use nac_modules::params::ParamStore;
use tch::{Kind, Tensor};

use crate::checkpoint::{Checkpoint, CheckpointStore};
use crate::error::{Result, TrainError};
use crate::loss::{LossContext, LossTerm};
use crate::metrics::{Event, MetricsSink};
use crate::optim::{Optimizer, global_norm};
use crate::render::{Renderer, StepProgress};

/// Keeps events in memory; clones share them.
#[derive(Debug, Clone, Default)]
pub struct MemoryMetrics(Rc<RefCell<Vec<Event>>>);

impl MemoryMetrics {
    /// All events so far.
    pub fn events(&self) -> Vec<Event> {
        self.0.borrow().clone()
    }
}

impl MetricsSink for MemoryMetrics {
    fn record(&mut self, event: &Event) -> Result<()> {
        self.0.borrow_mut().push(event.clone());
        Ok(())
    }
}

/// Keeps checkpoints in memory, as the bytes of their files; clones share them.
#[derive(Debug, Clone, Default)]
pub struct MemoryCheckpoints(Rc<RefCell<Vec<File>>>);

/// Step and bytes of one checkpoint.
type File = (u64, Vec<u8>);

impl MemoryCheckpoints {
    /// Steps of all checkpoints, in order of saving.
    pub fn steps(&self) -> Vec<u64> {
        self.0.borrow().iter().map(|(step, _)| *step).collect()
    }
}

impl CheckpointStore for MemoryCheckpoints {
    fn save(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        self.0
            .borrow_mut()
            .push((checkpoint.state.step, checkpoint.to_bytes()?));
        Ok(())
    }

    fn last(&self) -> Result<Option<Checkpoint>> {
        let kept = self.0.borrow();
        let read =
            |(_, bytes): &File| Checkpoint::from_bytes("memory", bytes).map_err(TrainError::State);
        kept.last().map(read).transpose()
    }

    fn location(&self) -> Option<String> {
        self.0
            .borrow()
            .last()
            .map(|(step, _)| format!("memory, step {step}"))
    }
}

/// A loss of one value from a given step on (0 before), with no effect on any weight.
#[derive(Debug, Clone)]
pub struct ConstantLoss {
    name: String,
    value: f64,
    from_step: u64,
}

impl ConstantLoss {
    /// The value `value` in every step.
    pub fn new(name: impl Into<String>, value: f64) -> Self {
        Self {
            name: name.into(),
            value,
            from_step: 0,
        }
    }

    /// The value only from `step` (counted from 0) on.
    #[must_use]
    pub fn from_step(mut self, step: u64) -> Self {
        self.from_step = step;
        self
    }
}

impl LossTerm for ConstantLoss {
    fn name(&self) -> &str {
        &self.name
    }

    fn compute(&mut self, context: &LossContext<'_>) -> Result<Tensor> {
        let value = if context.step < self.from_step {
            0.0
        } else {
            self.value
        };
        Ok(Tensor::f_full(
            [] as [i64; 0],
            value,
            (Kind::Float, context.output.logits.device()),
        )?)
    }
}

/// Keeps progress in memory, a line for each call; clones share them.
#[derive(Debug, Clone, Default)]
pub struct MemoryRenderer(Rc<RefCell<Vec<String>>>);

impl MemoryRenderer {
    /// All lines so far.
    pub fn lines(&self) -> Vec<String> {
        self.0.borrow().clone()
    }
}

impl Renderer for MemoryRenderer {
    fn start(&mut self, first_step: u64, steps: u64) {
        self.0
            .borrow_mut()
            .push(format!("start {first_step}/{steps}"));
    }

    fn step(&mut self, progress: &StepProgress<'_>) {
        let line = format!("step {}/{} {progress}", progress.step, progress.steps);
        self.0.borrow_mut().push(line);
    }

    fn note(&mut self, text: &str) {
        self.0.borrow_mut().push(text.to_owned());
    }

    fn finish(&mut self) {
        self.0.borrow_mut().push("finish".into());
    }
}

/// Changes no weight, and keeps the gradient norm and the learning rate of each step; clones share them.
#[derive(Debug, Clone, Default)]
pub struct RecordingOptimizer(Rc<RefCell<Vec<(f64, f64)>>>);

impl RecordingOptimizer {
    /// Gradient norm and learning rate of each step so far.
    pub fn steps(&self) -> Vec<(f64, f64)> {
        self.0.borrow().clone()
    }
}

impl Optimizer for RecordingOptimizer {
    fn name(&self) -> &str {
        "recording"
    }

    fn step(&mut self, _: &ParamStore, gradients: &[Tensor], learning_rate: f64) -> Result<()> {
        let norm = global_norm(gradients)?;
        self.0.borrow_mut().push((norm, learning_rate));
        Ok(())
    }
}
