//! Mixture of normal distributions on the line, fitted by expectation and maximisation.
//!
//! Deterministic: means start at quantiles of the values, with equal weights and the deviation of all values.
//! A variance never falls below `1e-6`, so that a component on equal values stays defined.

use std::f64::consts::TAU;

const MIN_VARIANCE: f64 = 1e-6;
const TOLERANCE: f64 = 1e-8;
const MAX_ITERATIONS: usize = 1000;

/// `p(x) = Σ_k weight_k · N(x; mean_k, sigma_k²)`.
#[derive(Debug, Clone, PartialEq)]
pub struct Mixture {
    weights: Vec<f64>,
    means: Vec<f64>,
    sigmas: Vec<f64>,
}

/// Why there is no such mixture.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MixtureError {
    /// The parts contradict each other or are out of range.
    #[error("mixture: {0}")]
    Parts(String),
    /// The values cannot be fitted.
    #[error("mixture of {components} components on {values} values: {reason}")]
    Fit {
        /// Components asked for.
        components: usize,
        /// Number of values.
        values: usize,
        /// What is wrong.
        reason: &'static str,
    },
}

impl Mixture {
    /// A mixture of known parts, each `[components]`. Sigmas are standard deviations.
    ///
    /// # Errors
    /// [`MixtureError::Parts`] if there are not as many of each, weights are negative or do not sum to 1 within
    /// 1e-3, a mean is not finite, or a sigma is not positive.
    pub fn new(weights: Vec<f64>, means: Vec<f64>, sigmas: Vec<f64>) -> Result<Self, MixtureError> {
        let wrong = |reason: String| Err(MixtureError::Parts(reason));
        let counts = [weights.len(), means.len(), sigmas.len()];
        if counts[0] == 0 || counts != [counts[0]; 3] {
            return wrong(format!("weights, means and sigmas are {counts:?} numbers"));
        }
        let sum: f64 = weights.iter().sum();
        if !weights.iter().all(|w| (0.0..=1.0 + 1e-3).contains(w)) || (sum - 1.0).abs() > 1e-3 {
            return wrong(format!("weights {weights:?} must be shares of 1"));
        }
        if !means.iter().all(|m| m.is_finite()) {
            return wrong(format!("means {means:?} must be finite"));
        }
        if !sigmas.iter().all(|s| s.is_finite() && *s > 0.0) {
            return wrong(format!("sigmas {sigmas:?} must be positive"));
        }
        Ok(Self {
            weights,
            means,
            sigmas,
        })
    }

    /// The mixture of `components` components that fits `values`.
    ///
    /// # Errors
    /// [`MixtureError::Fit`] if `components` is 0 or there are fewer values, or one is not finite.
    pub fn fit(values: &[f64], components: usize) -> Result<Self, MixtureError> {
        let wrong = |reason| MixtureError::Fit {
            components,
            values: values.len(),
            reason,
        };
        if components == 0 || values.len() < components {
            return Err(wrong("needs at least one component, and a value for each"));
        }
        if !values.iter().all(|value| value.is_finite()) {
            return Err(wrong("a value is not finite"));
        }
        let mut mixture = Self::start(values, components);
        let mut last = mixture.log_likelihood(values);
        for _ in 0..MAX_ITERATIONS {
            mixture.improve(values);
            let now = mixture.log_likelihood(values);
            if now - last <= TOLERANCE * values.len() as f64 {
                break;
            }
            last = now;
        }
        Ok(mixture)
    }

    /// Weights, means and standard deviations, each `[components]`.
    pub fn parts(&self) -> (&[f64], &[f64], &[f64]) {
        (&self.weights, &self.means, &self.sigmas)
    }

    /// `Σ log p(x)` of the values.
    pub fn log_likelihood(&self, values: &[f64]) -> f64 {
        let log_density = |&value: &f64| {
            let logs = self.log_parts(value);
            log_sum(&logs)
        };
        values.iter().map(log_density).sum()
    }

    fn start(values: &[f64], components: usize) -> Self {
        let mut sorted = values.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count;
        let quantile = |k: usize| sorted[(2 * k + 1) * values.len() / (2 * components)];
        Self {
            weights: vec![1.0 / components as f64; components],
            means: (0..components).map(quantile).collect(),
            sigmas: vec![variance.max(MIN_VARIANCE).sqrt(); components],
        }
    }

    /// Logarithms of weight times density of each component.
    fn log_parts(&self, value: f64) -> Vec<f64> {
        let parts = self.weights.iter().zip(&self.means).zip(&self.sigmas);
        parts
            .map(|((weight, mean), sigma)| {
                let score = (value - mean) / sigma;
                weight.ln() - sigma.ln() - 0.5 * TAU.ln() - 0.5 * score * score
            })
            .collect()
    }

    /// One round: shares of the components in each value, then the parts that fit these shares best.
    fn improve(&mut self, values: &[f64]) {
        let shares: Vec<Vec<f64>> = values
            .iter()
            .map(|&value| {
                let logs = self.log_parts(value);
                let sum = log_sum(&logs);
                logs.iter().map(|log| (log - sum).exp()).collect()
            })
            .collect();
        for k in 0..self.weights.len() {
            let total: f64 = shares.iter().map(|share| share[k]).sum();
            self.weights[k] = total / values.len() as f64;
            // A component without values stays as it is.
            if total < 1e-12 {
                continue;
            }
            let of = |f: &dyn Fn(f64) -> f64| {
                let terms = values.iter().zip(&shares);
                terms.map(|(&x, share)| share[k] * f(x)).sum::<f64>() / total
            };
            let mean = of(&|x| x);
            self.means[k] = mean;
            self.sigmas[k] = of(&|x| (x - mean).powi(2)).max(MIN_VARIANCE).sqrt();
        }
    }
}

fn log_sum(logs: &[f64]) -> f64 {
    let largest = logs.iter().fold(f64::NEG_INFINITY, |m, &log| m.max(log));
    largest
        + logs
            .iter()
            .map(|log| (log - largest).exp())
            .sum::<f64>()
            .ln()
}

#[cfg(test)]
mod tests {
    use super::*;
    use nac_core::Streams;
    use proptest::prelude::*;

    #[test]
    fn three_normal_clusters_are_found() {
        let expected = [(0.5, -2.0, 0.3), (0.2, 0.5, 0.2), (0.3, 4.0, 0.6)];
        let mut stream = Streams::new(0).stream("values");
        let mut values = vec![0.0; 20_000];
        stream.fill_normal_f64(&mut values);
        for value in &mut values {
            let draw = stream.uniform();
            let k = usize::from(draw > 0.5) + usize::from(draw > 0.7);
            *value = expected[k].1 + expected[k].2 * *value;
        }
        let mixture = Mixture::fit(&values, 3).unwrap();
        let (weights, means, sigmas) = mixture.parts();
        // Five standard errors of each (weights 0.0035, means and deviations at most 0.008).
        for (k, (weight, mean, sigma)) in expected.into_iter().enumerate() {
            assert!((weights[k] - weight).abs() < 0.02, "{mixture:?}");
            assert!((means[k] - mean).abs() < 0.04, "{mixture:?}");
            assert!((sigmas[k] - sigma).abs() < 0.04, "{mixture:?}");
        }
    }

    #[test]
    fn what_cannot_be_is_refused() {
        assert!(Mixture::fit(&[1.0], 2).is_err());
        assert!(Mixture::fit(&[1.0], 0).is_err());
        assert!(Mixture::fit(&[1.0, f64::NAN], 1).is_err());
        for (weights, means, sigmas) in [
            (vec![], vec![], vec![]),
            (vec![1.0], vec![0.0, 1.0], vec![1.0]),
            (vec![0.5, 0.4], vec![0.0, 1.0], vec![1.0, 1.0]),
            (vec![1.0], vec![f64::NAN], vec![1.0]),
            (vec![1.0], vec![0.0], vec![0.0]),
        ] {
            assert!(Mixture::new(weights, means, sigmas).is_err());
        }
    }

    proptest! {
        #[test]
        fn a_round_never_makes_it_less_likely(
            values in prop::collection::vec(-3.0_f64..3.0, 4..40),
            components in 1_usize..4,
        ) {
            let mut mixture = Mixture::start(&values, components);
            let mut last = mixture.log_likelihood(&values);
            for _ in 0..20 {
                mixture.improve(&values);
                // Below the least variance the rule does not hold.
                if mixture.sigmas.iter().any(|sigma| *sigma < 1.01 * MIN_VARIANCE.sqrt()) {
                    break;
                }
                let now = mixture.log_likelihood(&values);
                prop_assert!(now >= last - 1e-9, "{} {}", now, last);
                last = now;
            }
            // With one component the fit is mean and deviation.
            let one = Mixture::fit(&values, 1).unwrap();
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            prop_assert!((one.means[0] - mean).abs() < 1e-9);
        }

        #[test]
        fn equal_values_are_fine(value in -2.0_f64..2.0, components in 1_usize..4) {
            let mixture = Mixture::fit(&[value; 7], components).unwrap();
            prop_assert!(mixture.log_likelihood(&[value; 7]).is_finite());
            let (weights, means, sigmas) = mixture.parts();
            prop_assert!(Mixture::new(weights.to_vec(), means.to_vec(), sigmas.to_vec()).is_ok());
        }
    }
}
