//! What a finished run says about itself: `summary.json` in the run folder.

use serde::{Deserialize, Serialize};

/// Loss and accuracy at one training step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// Optimizer steps done.
    pub step: u64,
    /// Mean loss.
    pub loss: f64,
    /// Share of correct answers, 0 to 1.
    pub accuracy: f64,
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
    /// Number of classes.
    pub classes: usize,
    /// Accuracy on test of always answering the most frequent class of train, 0 to 1.
    pub majority_accuracy: f64,
    /// Running training loss and accuracy.
    pub train_curve: Vec<CurvePoint>,
    /// Validation loss and accuracy.
    pub validation_curve: Vec<CurvePoint>,
    /// Test loss and accuracy with the last checkpoint; test is touched once.
    pub test: CurvePoint,
    /// Seconds from start to finish, sums over resumed parts.
    pub wall_seconds: f64,
    /// Training examples per second, evaluation not counted.
    pub examples_per_second: f64,
    /// Device, such as `cpu`.
    pub device: String,
    /// Threads used by libtorch.
    pub threads: usize,
    /// Git revision of the program's source, or of the folder it runs in; `unknown` without.
    pub revision: String,
    /// Links of a trained circuit; empty for a model without.
    pub graphs: Vec<GraphSnapshot>,
}
