//! Weights and results that are not finite are errors, so that nobody builds on them.

use std::collections::BTreeMap;

use tch::Tensor;

use crate::error::{Result, TrainError};
use crate::metrics::Evaluation;

/// Name of the first tensor that holds NaN or an infinite value.
///
/// # Errors
/// libtorch fails.
pub(crate) fn not_finite(tensors: &BTreeMap<String, Tensor>) -> Result<Option<&str>> {
    for (name, tensor) in tensors {
        if tensor.is_floating_point() && !tensor.f_isfinite()?.f_all()?.f_is_nonzero()? {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

/// An error if the loss or a metric is NaN or infinite.
///
/// # Errors
/// [`TrainError::NotFiniteResult`] naming the first.
pub(crate) fn require_finite(found: Evaluation) -> Result<Evaluation> {
    let refuse = |what: &str, value: f64| {
        let what = what.to_owned();
        Err(TrainError::NotFiniteResult { what, value })
    };
    if !found.loss.is_finite() {
        return refuse("the loss", found.loss);
    }
    match found.metrics.iter().find(|(_, value)| !value.is_finite()) {
        Some((name, value)) => refuse(name, *value),
        None => Ok(found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_tensor_that_is_not_finite_is_named() {
        let map = |values: &[(&str, f32)]| -> BTreeMap<String, Tensor> {
            let tensor = |value: f32| Tensor::from_slice(&[1.0, value]);
            let named = values
                .iter()
                .map(|(name, v)| ((*name).to_owned(), tensor(*v)));
            named.collect()
        };
        let mut tensors = map(&[("a", 1.0), ("b", f32::MAX)]);
        tensors.insert("whole".into(), Tensor::from_slice(&[i64::MAX]));
        assert_eq!(not_finite(&tensors).unwrap(), None);
        for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let tensors = map(&[("a", 1.0), ("b", value), ("c", value)]);
            assert_eq!(not_finite(&tensors).unwrap(), Some("b"));
        }
    }

    #[test]
    fn results_that_are_not_finite_are_errors() {
        let evaluation = |loss: f64, metric: f64| Evaluation {
            loss,
            metrics: vec![("accuracy".into(), 0.5), ("margin".into(), metric)],
            examples: 3,
        };
        assert!(require_finite(evaluation(1.0, 1.0)).is_ok());
        for (loss, metric, start) in [
            (f64::NAN, 1.0, "the loss is NaN"),
            (1.0, f64::INFINITY, "margin is inf"),
        ] {
            let error = require_finite(evaluation(loss, metric)).unwrap_err();
            assert!(error.to_string().starts_with(start), "{error}");
        }
    }
}
