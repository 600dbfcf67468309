//! The exponent of a cost: times by size, fitted by a straight line in their logarithms.
#![allow(clippy::print_stdout, reason = "a benchmark prints")]

use std::time::{Duration, Instant};

use criterion::Bencher;

/// Least cost of an operation by size.
pub(crate) struct Scaling {
    name: &'static str,
    size: &'static str,
    /// Size and least cost.
    pub(crate) points: Vec<(f64, f64)>,
}

impl Scaling {
    /// Costs of the operation `name` by a size called `size`.
    pub(crate) fn new(name: &'static str, size: &'static str) -> Self {
        Self {
            name,
            size,
            points: Vec::new(),
        }
    }

    /// Lets criterion time `run`, and records the shortest time of a run.
    pub(crate) fn time(&mut self, bencher: &mut Bencher<'_>, size: f64, mut run: impl FnMut()) {
        let mut least = f64::INFINITY;
        bencher.iter_custom(|runs| {
            let mut total = Duration::ZERO;
            for _ in 0..runs {
                let start = Instant::now();
                run();
                let time = start.elapsed();
                least = least.min(time.as_secs_f64());
                total += time;
            }
            total
        });
        self.add(size, least);
    }

    /// Adds a cost, or lowers the one there is for this size.
    pub(crate) fn add(&mut self, size: f64, cost: f64) {
        match self.points.iter_mut().find(|(known, _)| *known == size) {
            Some((_, least)) => *least = least.min(cost),
            None => self.points.push((size, cost)),
        }
    }

    /// The least cost of a size.
    #[allow(dead_code, reason = "each package's benchmarks use a part")]
    pub(crate) fn cost(&self, size: f64) -> Option<f64> {
        let found = self.points.iter().find(|(known, _)| *known == size);
        found.map(|(_, cost)| *cost)
    }

    /// Prints the exponent, if there are sizes to compare.
    pub(crate) fn report(&self) {
        let Some(exponent) = self.exponent() else {
            return;
        };
        let (name, size) = (self.name, self.size);
        println!("{name}: cost grows with {size} to the power of {exponent:.2}");
    }

    /// Slope of log cost over log size.
    fn exponent(&self) -> Option<f64> {
        let logs = || {
            self.points
                .iter()
                .map(|(size, cost)| (size.ln(), cost.ln()))
        };
        let count = self.points.len() as f64;
        let (x, y) = logs().fold((0.0, 0.0), |(x, y), (a, b)| (x + a / count, y + b / count));
        let (both, own) = logs().fold((0.0, 0.0), |(both, own), (a, b)| {
            (both + (a - x) * (b - y), own + (a - x).powi(2))
        });
        (own > 0.0).then(|| both / own)
    }
}
