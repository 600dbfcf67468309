//! What a measurement says, as one line of JSON.

use serde::Serialize;

use super::{EngineKind, Memory, Pass};

/// A measurement.
#[derive(Debug, Clone, Serialize)]
pub struct Measurement {
    /// Preset or file of the model.
    pub model: String,
    /// Engine.
    pub engine: EngineKind,
    /// Pass.
    pub pass: Pass,
    /// Images in a batch.
    pub batch: usize,
    /// Threads asked for.
    pub threads: usize,
    /// `cpu` or `cuda:<index>`.
    pub device: String,
    /// Precision of the weights.
    pub weights: String,
    /// Variables of allocator and threads in the environment, such as `MALLOC_TOP_PAD_`.
    pub environment: Vec<String>,
    /// Time of a pass.
    pub seconds: Seconds,
    /// Images per second at the shortest time.
    pub images_per_second: f64,
    /// Operations of a pass; absent for a model whose operations are not counted.
    pub operations: Option<Operations>,
    /// Resident memory; absent where it cannot be known.
    pub memory: Option<Memory>,
    /// The logits of the last pass.
    pub logits: Logits,
    /// Against the logits of another measurement, if asked for.
    pub difference: Option<Difference>,
}

/// Times of passes, in seconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Seconds {
    /// Building the model and its weights.
    pub loading: f64,
    /// The first pass, which warms caches up and is not among the others.
    pub first: f64,
    /// Shortest.
    pub min: f64,
    /// Median.
    pub median: f64,
    /// All, in order.
    pub all: Vec<f64>,
}

impl Seconds {
    /// Statistics of passes; `all` must not be empty.
    pub(super) fn new(loading: f64, first: f64, all: Vec<f64>) -> Self {
        let mut sorted = all.clone();
        sorted.sort_by(f64::total_cmp);
        let half = sorted.len() / 2;
        let median = if sorted.len() % 2 == 1 {
            sorted[half]
        } else {
            (sorted[half - 1] + sorted[half]) / 2.0
        };
        Self {
            loading,
            first,
            min: sorted[0],
            median,
            all,
        }
    }
}

/// Floating-point operations of a pass.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Operations {
    /// What remains after exact algebra.
    pub needed: u64,
    /// What the authors' code spends.
    pub reference: u64,
    /// The needed ones per second at the shortest time.
    pub needed_per_second: f64,
}

/// A short description of logits.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Logits {
    /// Sum.
    pub sum: f64,
    /// Largest magnitude.
    pub largest: f64,
    /// Whether none is infinite or not a number.
    pub finite: bool,
}

/// Difference to the logits of another measurement.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Difference {
    /// Largest difference.
    pub largest: f64,
    /// The same, relative to the largest magnitude of the others.
    pub relative: f64,
    /// Share of images with the same best class.
    pub same_best: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_of_odd_and_even_counts() {
        let odd = Seconds::new(8.0, 9.0, vec![3.0, 1.0, 2.0]);
        assert_eq!((odd.min, odd.median), (1.0, 2.0));
        let even = Seconds::new(8.0, 9.0, vec![4.0, 1.0, 2.0, 3.0]);
        assert_eq!((even.min, even.median), (1.0, 2.5));
    }
}
