//! Mean and spread of a few numbers.

use serde::{Deserialize, Serialize};

/// Mean and spread of some measurements.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// Arithmetic mean.
    pub mean: f64,
    /// Standard deviation of the measurements (divided by one less than their number); 0 of a single one.
    pub sd: f64,
    /// Standard error of the mean: `sd / √n`.
    pub standard_error: f64,
    /// Number of measurements.
    pub count: usize,
}

impl Spread {
    /// Of these measurements; all zero if there is none.
    #[must_use]
    pub fn of(values: &[f64]) -> Self {
        let count = values.len();
        let n = count.max(1) as f64;
        let mean = values.iter().sum::<f64>() / n;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let sd = match count {
            0 | 1 => 0.0,
            _ => (squares / (n - 1.0)).sqrt(),
        };
        Self {
            mean,
            sd,
            standard_error: sd / n.sqrt(),
            count,
        }
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.4} ± {:.4}", self.mean, self.sd)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spreads_are_those_of_a_sample() {
        let found = Spread::of(&[1.0, 2.0, 3.0, 4.0]);
        assert_eq!((found.mean, found.count), (2.5, 4));
        assert!((found.sd - (5.0_f64 / 3.0).sqrt()).abs() < 1e-12);
        assert!((found.standard_error - found.sd / 2.0).abs() < 1e-12);
        assert_eq!(Spread::of(&[0.5]).sd, 0.0);
        assert_eq!(Spread::of(&[]).mean, 0.0);
        assert_eq!(Spread::of(&[0.25, 0.75]).to_string(), "0.5000 ± 0.3536");
    }
}
