//! Initial signatures whose links come close to a given graph.
//!
//! Signatures start orthogonal ([`orthogonal_signatures`]) and are then moved by Adam
//! ([`fit_signatures`]) until linked modules are closer than a truncation distance and others farther
//! ([`FitTarget`]). This sets initial values only; training is free to move them.
//! Source: reference `preset_graph_signatures`.

mod adam;
mod orthogonal;
mod target;

use ndarray::Array2;
use serde::{Deserialize, Serialize};

pub use adam::{SignatureFit, fit_signatures};
pub use orthogonal::orthogonal_signatures;
pub use target::{FitObjective, FitTarget};

use super::GraphGenerator;
use crate::{CoreError, Streams};

/// Settings of a fit of initial signatures to a graph.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignatureFitConfig {
    /// The graph to approximate, such as `{ name = "barabasi-albert", m = 2 }`.
    pub graph: GraphGenerator,
    /// Steps of Adam. Default 1000.
    #[serde(default = "iterations")]
    pub iterations: usize,
    /// Learning rate of Adam. Default 0.001.
    #[serde(default = "learning_rate")]
    pub learning_rate: f64,
    /// Distance that should separate linked from other modules, in `[0, 2]`. Default 0.8.
    #[serde(default = "truncation")]
    pub truncation: f64,
    /// What is minimized. Default `hinge`.
    #[serde(default)]
    pub objective: FitObjective,
}

fn iterations() -> usize {
    1000
}

fn learning_rate() -> f64 {
    1e-3
}

fn truncation() -> f64 {
    0.8
}

impl SignatureFitConfig {
    /// A fit with the default settings.
    #[must_use]
    pub fn new(graph: GraphGenerator) -> Self {
        Self {
            graph,
            iterations: iterations(),
            learning_rate: learning_rate(),
            truncation: truncation(),
            objective: FitObjective::default(),
        }
    }

    /// Checks the settings for `modules` modules with signatures of `dim` numbers.
    ///
    /// # Errors
    /// [`CoreError::InvalidParameter`] naming the first one that is out of range.
    pub fn check(&self, modules: usize, dim: usize) -> Result<(), CoreError> {
        let op = "SignatureFitConfig";
        self.graph.check(modules)?;
        if dim == 0 {
            return Err(CoreError::parameter(op, "dim", dim, "at least 1"));
        }
        adam::check_learning_rate(op, self.learning_rate)?;
        target::check_truncation(op, self.truncation)
    }

    /// Draws the graph, then fits orthogonal signatures to it. Uses the streams `graph` and `start` of `streams`.
    ///
    /// # Shapes
    /// - result: signatures `[modules, dim]`
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub fn signatures(
        &self,
        modules: usize,
        dim: usize,
        streams: Streams,
    ) -> Result<SignatureFit, CoreError> {
        self.check(modules, dim)?;
        let graph = self.graph.generate(modules, &mut streams.stream("graph"))?;
        let target = FitTarget::new(&graph, self.objective, self.truncation)?;
        let start: Array2<f64> = orthogonal_signatures(modules, dim, &mut streams.stream("start"))?;
        fit_signatures(start, &target, self.iterations, self.learning_rate)
    }
}
