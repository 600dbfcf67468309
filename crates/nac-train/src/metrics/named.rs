//! Metrics by the names that settings give them.

use nac_core::model::OutputSpec;

use super::classes::{Accuracy, TopK};
use super::metric::Metric;
use super::values::{MeanAbsoluteError, MeanSquaredError, RSquared};

/// The metric of a name: `accuracy`, `top-<k>`, `mse`, `mae` or `r2`.
pub fn by_name(name: &str) -> Option<Box<dyn Metric>> {
    Some(match name {
        "accuracy" => Box::new(Accuracy),
        "mse" => Box::new(MeanSquaredError),
        "mae" => Box::new(MeanAbsoluteError),
        "r2" => Box::new(RSquared),
        other => match other.strip_prefix("top-")?.parse() {
            Ok(k @ 1..) => Box::new(TopK::new(k)),
            _ => return None,
        },
    })
}

/// The metrics of a run that names none: accuracy for classes, the mean squared error for values.
pub fn defaults(output: &OutputSpec) -> Vec<Box<dyn Metric>> {
    match output.class_count() {
        Some(_) => vec![Box::new(Accuracy)],
        None => vec![Box::new(MeanSquaredError)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_have_the_names_they_are_found_by() {
        for name in ["accuracy", "top-1", "top-5", "mse", "mae", "r2"] {
            assert_eq!(by_name(name).unwrap().name(), name);
        }
        for name in ["", "top-", "top-0", "top-x", "Accuracy"] {
            assert!(by_name(name).is_none(), "{name}");
        }
    }
}
