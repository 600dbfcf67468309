//! [`Gradients`]: what a batch says about the weights, and what was measured on the way.

use tch::Tensor;

use crate::error::{Result, TrainError};
use crate::metrics::Sums;

/// Gradients of the mean loss over some examples.
#[derive(Debug)]
pub struct Gradients {
    /// One for each parameter in the order of `ParamStore::parameters`; an undefined tensor where there is none.
    pub tensors: Vec<Tensor>,
    /// Sum of weight × term.
    pub loss: f64,
    /// Each loss term by name, before its weight.
    pub terms: Vec<(String, f64)>,
    /// State of each metric, in the order of the trainer's.
    pub metrics: Vec<Sums>,
    /// Number of examples.
    pub examples: usize,
}

impl Gradients {
    /// Adds other examples: the gradients become those of the mean loss over the examples of both, if each loss term
    /// is a mean over examples or does not depend on them.
    ///
    /// # Errors
    /// The gradients are not of the same parameters, loss terms and metrics, or libtorch fails.
    pub fn merge(&mut self, other: Self) -> Result<()> {
        let counts = |g: &Self| (g.tensors.len(), g.terms.len(), g.metrics.len());
        if counts(self) != counts(&other) {
            let (found, expected) = (counts(&other), counts(self));
            return Err(TrainError::State(format!(
                "cannot merge gradients: expected {expected:?} parameters, loss terms and metrics, found {found:?}"
            )));
        }
        let examples = self.examples + other.examples;
        let share = other.examples as f64 / examples.max(1) as f64;
        for (mine, theirs) in self.tensors.iter_mut().zip(other.tensors) {
            match (mine.defined(), theirs.defined()) {
                (true, true) => {
                    let _ = mine.f_lerp_(&theirs, share)?;
                }
                (true, false) => {
                    let _ = mine.f_mul_scalar_(1.0 - share)?;
                }
                (false, true) => *mine = theirs.f_mul_scalar(share)?,
                (false, false) => {}
            }
        }
        let mix = |mine: &mut f64, theirs: f64| *mine += share * (theirs - *mine);
        mix(&mut self.loss, other.loss);
        for ((_, mine), (_, theirs)) in self.terms.iter_mut().zip(other.terms) {
            mix(mine, theirs);
        }
        for (mine, theirs) in self.metrics.iter_mut().zip(&other.metrics) {
            mine.merge(theirs);
        }
        self.examples = examples;
        Ok(())
    }
}

/// What a step measured.
#[derive(Debug, Clone, PartialEq)]
pub struct StepReport {
    /// Sum of weight × term.
    pub loss: f64,
    /// Each loss term by name, before its weight.
    pub terms: Vec<(String, f64)>,
    /// State of each metric, in the order of the trainer's.
    pub metrics: Vec<Sums>,
    /// Number of examples.
    pub examples: usize,
    /// Global norm of the gradients, before they were clipped.
    pub gradient_norm: f64,
    /// Learning rate of the step.
    pub learning_rate: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gradients(tensors: Vec<Tensor>, value: f64, examples: usize) -> Gradients {
        let mut sums = Sums::default();
        sums.add(&[value * examples as f64, examples as f64]);
        Gradients {
            tensors,
            loss: value,
            terms: vec![("a".into(), value)],
            metrics: vec![sums],
            examples,
        }
    }

    #[test]
    fn examples_count_alike_whatever_batch_they_are_in() {
        let of = |value: f32| Tensor::from_slice(&[value]);
        let mut all = gradients(vec![of(1.0), of(1.0), Tensor::new(), Tensor::new()], 1.0, 3);
        let other = vec![of(5.0), Tensor::new(), of(5.0), Tensor::new()];
        all.merge(gradients(other, 5.0, 1)).unwrap();
        let values: Vec<Option<f64>> = all
            .tensors
            .iter()
            .map(|t| t.defined().then(|| t.double_value(&[0])))
            .collect();
        assert_eq!(values, [Some(2.0), Some(0.75), Some(1.25), None]);
        assert_eq!((all.loss, all.terms[0].1, all.examples), (2.0, 2.0, 4));
        assert_eq!(all.metrics[0].ratio(), 2.0);
        let error = all.merge(gradients(vec![], 1.0, 1)).unwrap_err();
        assert!(error.to_string().contains("cannot merge"), "{error}");
    }
}
