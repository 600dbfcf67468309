//! A number that changes over a run, such as the weight of a loss term.
//!
//! With `x` the share of the run that is done, from 0 to 1: linear `start + (stop − start)·x`, exponential
//! `stop + (start − stop)·exp(−β·x)`. Source: reference `ScheduledHyperParameter`.

use serde::{Deserialize, Serialize};

/// A number, or how it changes. In a file `0.1`, or `{ schedule = "linear", start = 1.0, stop = 0.1 }`, or
/// `{ schedule = "exponential", start = 1.0, stop = 0.1, beta = 5.0 }`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "expected a number, { schedule = \"linear\", start, stop } or \
                 { schedule = \"exponential\", start, stop, beta }"
)]
pub enum ScheduledValue {
    /// Constant.
    Constant(f64),
    /// Changing.
    Changing(ValueSchedule),
}

/// How a number changes from `start` to `stop`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "schedule", rename_all = "lowercase", deny_unknown_fields)]
pub enum ValueSchedule {
    /// In proportion to the steps done.
    Linear {
        /// Value of the first step.
        start: f64,
        /// Value at the end.
        stop: f64,
    },
    /// Fast at first, slower and slower; `exp(−beta)` of the distance remains at the end.
    Exponential {
        /// Value of the first step.
        start: f64,
        /// Value it goes towards.
        stop: f64,
        /// How fast. Default 5.
        #[serde(default = "default_beta")]
        beta: f64,
    },
}

fn default_beta() -> f64 {
    5.0
}

impl ScheduledValue {
    /// The value when `progress`, from 0 to 1, of the run is done. Progress out of that range counts as its end.
    pub fn at(&self, progress: f64) -> f64 {
        let progress = progress.clamp(0.0, 1.0);
        match *self {
            Self::Constant(value) => value,
            Self::Changing(ValueSchedule::Linear { start, stop }) => {
                start + (stop - start) * progress
            }
            Self::Changing(ValueSchedule::Exponential { start, stop, beta }) => {
                stop + (start - stop) * (-beta * progress).exp()
            }
        }
    }

    /// Whether the value is always finite and not negative, and the speed of an exponential not negative.
    pub fn is_valid_weight(&self) -> bool {
        let fits = |values: &[f64]| values.iter().all(|v| v.is_finite() && *v >= 0.0);
        match *self {
            Self::Constant(value) => fits(&[value]),
            Self::Changing(ValueSchedule::Linear { start, stop }) => fits(&[start, stop]),
            Self::Changing(ValueSchedule::Exponential { start, stop, beta }) => {
                fits(&[start, stop, beta])
            }
        }
    }
}

impl From<f64> for ScheduledValue {
    fn from(value: f64) -> Self {
        Self::Constant(value)
    }
}

impl std::fmt::Display for ScheduledValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Constant(value) => value.fmt(f),
            Self::Changing(ValueSchedule::Linear { start, stop }) => {
                write!(f, "linear from {start} to {stop}")
            }
            Self::Changing(ValueSchedule::Exponential { start, stop, beta }) => {
                write!(f, "exponential from {start} to {stop} with beta {beta}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct File {
        weight: ScheduledValue,
    }

    fn read(text: &str) -> Result<ScheduledValue, toml::de::Error> {
        toml::from_str::<File>(&format!("weight = {text}")).map(|file| file.weight)
    }

    #[test]
    fn values_over_a_run() {
        let linear = read("{ schedule = \"linear\", start = 1.0, stop = 0.1 }").unwrap();
        // As recorded from the authors' code at progress 0, 0.3 and 1.
        for (progress, expected) in [(0.0, 1.0), (0.3, 0.73), (1.0, 0.1), (2.0, 0.1)] {
            assert!((linear.at(progress) - expected).abs() < 1e-7);
        }
        let exponential = read("{ schedule = \"exponential\", start = 1.0, stop = 0.1 }").unwrap();
        for (progress, expected) in [(0.0, 1.0), (0.3, 0.300_817_13), (1.0, 0.106_064_156)] {
            assert!((exponential.at(progress) - expected).abs() < 1e-7);
        }
        assert_eq!(read("0.25").unwrap().at(0.7), 0.25);
        assert_eq!(read("1").unwrap(), 1.0.into());
    }

    #[test]
    fn what_is_not_a_schedule_is_refused() {
        for text in [
            "\"linear\"",
            "{ schedule = \"linear\", start = 1.0 }",
            "{ schedule = \"cosine\", start = 1.0, stop = 0.0 }",
            "{ schedule = \"linear\", start = 1.0, stop = 0.0, beta = 1.0 }",
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(
                error.contains("schedule = \"linear\", start, stop"),
                "{error}"
            );
        }
        assert!(!read("-0.1").unwrap().is_valid_weight());
        assert!(
            !read("{ schedule = \"linear\", start = nan, stop = 0.0 }")
                .unwrap()
                .is_valid_weight()
        );
        assert!(
            read("{ schedule = \"exponential\", start = 1, stop = 0 }")
                .unwrap()
                .is_valid_weight()
        );
    }
}
