//! Progress in a checkpoint: how far the run is and what it measured.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::metrics::Sums;
use crate::summary::CurvePoint;

/// How far a run is. Random draws need no state: they are a function of seed and step.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TrainState {
    /// Optimizer steps done.
    pub step: u64,
    /// Seed of the run.
    pub seed: u64,
    /// Name of the optimizer, empty before the first checkpoint.
    pub optimizer: String,
    /// Seconds spent so far, over all parts of the run.
    pub wall_seconds: f64,
    /// Seconds spent in training steps.
    pub train_seconds: f64,
    /// Training examples seen.
    pub examples: u64,
    /// Training loss and metrics between logged steps.
    pub train_curve: Vec<CurvePoint>,
    /// Validation loss and metrics.
    pub validation_curve: Vec<CurvePoint>,
    /// Parameters that got no gradient in the first step; none before it.
    pub without_gradient: Option<Vec<String>>,
    /// Sums since the last logged step.
    pub running: Running,
}

/// Sums over the steps since the last logged one.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Running {
    /// Steps.
    pub steps: u64,
    /// Examples.
    pub examples: u64,
    /// Sum of the losses.
    pub loss: f64,
    /// Sum of each term, before its weight.
    pub terms: BTreeMap<String, f64>,
    /// State of each metric.
    pub metrics: BTreeMap<String, Sums>,
}
