//! Summary of a finished run: `summary.json` in the run folder.

use std::collections::BTreeMap;

use nac_core::model::OutputSpec;
use serde::{Deserialize, Serialize};

use crate::metrics::Evaluation;

/// Loss and metrics at one training step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// Optimizer steps done.
    pub step: u64,
    /// Mean loss.
    pub loss: f64,
    /// Each metric by name.
    pub metrics: BTreeMap<String, f64>,
}

/// Summaries of earlier versions are of one process.
fn one() -> usize {
    1
}

impl CurvePoint {
    /// The result of an evaluation after `step` steps.
    pub fn new(step: u64, found: Evaluation) -> Self {
        Self {
            step,
            loss: found.loss,
            metrics: found.metrics.into_iter().collect(),
        }
    }

    /// The metric of a name, if it was measured.
    pub fn metric(&self, name: &str) -> Option<f64> {
        self.metrics.get(name).copied()
    }
}

/// Link probabilities of a trained circuit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GraphSnapshot {
    /// Name of the graph, such as `propagator.0`.
    pub name: String,
    /// Number of modules.
    pub modules: usize,
    /// Link probabilities by row, `modules · modules` values in `[0, 1]`.
    pub link_probabilities: Vec<f32>,
}

/// Summary of a finished run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunSummary {
    /// Name of the run.
    pub name: String,
    /// Name of the data set.
    pub dataset: String,
    /// Kind of the model, such as `nac`.
    pub model: String,
    /// Seed of the run.
    pub seed: u64,
    /// Trained scalars.
    pub parameters: usize,
    /// Optimizer steps.
    pub steps: u64,
    /// Examples per step.
    pub batch_size: usize,
    /// Training examples, after the validation split was taken away.
    pub train_examples: usize,
    /// Validation examples, carved from train.
    pub validation_examples: usize,
    /// Test examples.
    pub test_examples: usize,
    /// What the model answers.
    pub output: OutputSpec,
    /// Accuracy on test of always answering the most frequent class of train, 0 to 1; none if answers are not
    /// classes.
    pub majority_accuracy: Option<f64>,
    /// Name of the primary metric.
    pub metric: String,
    /// Running training loss and metrics.
    pub train_curve: Vec<CurvePoint>,
    /// Validation loss and metrics.
    pub validation_curve: Vec<CurvePoint>,
    /// Test loss and metrics with the last checkpoint; test is touched once.
    pub test: CurvePoint,
    /// Seconds from start to finish, sums over resumed parts.
    pub wall_seconds: f64,
    /// Training examples per second, evaluation not counted.
    pub examples_per_second: f64,
    /// Device, such as `cpu`.
    pub device: String,
    /// Threads used by libtorch.
    pub threads: usize,
    /// Processes that trained together.
    #[serde(default = "one")]
    pub processes: usize,
    /// Git revision of the program's source, or of the folder it runs in; `unknown` without.
    pub revision: String,
    /// Trained parameters that got no gradient in the first step.
    #[serde(default)]
    pub without_gradient: Vec<String>,
    /// Links of a trained circuit; empty for a model without.
    pub graphs: Vec<GraphSnapshot>,
}

impl RunSummary {
    /// The primary metric at a point of this run's curves, if it was measured.
    pub fn primary(&self, point: &CurvePoint) -> Option<f64> {
        point.metric(&self.metric)
    }
}
