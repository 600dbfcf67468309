//! Metrics of class scores.

use ndarray::ArrayView1;

use super::metric::{Metric, Predictions};
use super::sums::Sums;
use crate::error::Result;

/// Share of examples whose class has the greatest score (the first of several), 0 to 1.
#[derive(Debug, Clone, Copy, Default)]
pub struct Accuracy;

impl Metric for Accuracy {
    fn name(&self) -> &str {
        "accuracy"
    }

    fn update(&self, batch: &Predictions<'_>, sums: &mut Sums) -> Result<()> {
        for (scores, class) in batch.classes(self.name())? {
            let is_correct = rank(scores, class) == 0;
            sums.add(&[f64::from(u8::from(is_correct)), 1.0]);
        }
        Ok(())
    }

    fn value(&self, sums: &Sums) -> f64 {
        sums.ratio()
    }
}

/// Share of examples whose class is among the `k` with the greatest scores, 0 to 1. Called `top-<k>`.
#[derive(Debug, Clone)]
pub struct TopK {
    name: String,
    k: usize,
}

impl TopK {
    /// The metric for `k`, at least 1.
    pub fn new(k: usize) -> Self {
        let k = k.max(1);
        Self {
            name: format!("top-{k}"),
            k,
        }
    }
}

impl Metric for TopK {
    fn name(&self) -> &str {
        &self.name
    }

    fn update(&self, batch: &Predictions<'_>, sums: &mut Sums) -> Result<()> {
        for (scores, class) in batch.classes(&self.name)? {
            let is_among = rank(scores, class) < self.k;
            sums.add(&[f64::from(u8::from(is_among)), 1.0]);
        }
        Ok(())
    }

    fn value(&self, sums: &Sums) -> f64 {
        sums.ratio()
    }
}

/// Number of classes that come before `class`: those with a greater score, and those of equal score before it.
pub(super) fn rank(scores: ArrayView1<'_, f64>, class: usize) -> usize {
    let own = scores[class];
    let before = |&(other, score): &(usize, &f64)| *score > own || (*score == own && other < class);
    scores.iter().enumerate().filter(before).count()
}

/// `log Σ exp(x) − x_class`.
pub(super) fn cross_entropy(scores: ArrayView1<'_, f64>, class: usize) -> f64 {
    let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = scores.iter().map(|x| (x - most).exp()).sum();
    most + sum.ln() - scores[class]
}

#[cfg(test)]
mod tests {
    use super::*;
    use nac_data::Targets;
    use ndarray::array;

    #[test]
    fn ties_go_to_the_first_class() {
        let scores = array![1.0, 3.0, 3.0, -80.0];
        let ranks: Vec<usize> = (0..4).map(|class| rank(scores.view(), class)).collect();
        assert_eq!(ranks, [2, 0, 1, 3]);
    }

    #[test]
    fn cross_entropy_agrees_with_the_definition_and_does_not_overflow() {
        let scores = array![1.0, 3.0, 3.0, -80.0];
        let sum = 1.0_f64.exp() + 2.0 * 3.0_f64.exp() + (-80.0_f64).exp();
        let found = cross_entropy(scores.view(), 0);
        assert!((found - (sum.ln() - 1.0)).abs() < 1e-12, "{found}");
        assert!(cross_entropy(array![1e30, 0.0].view(), 0).abs() < 1e-12);
    }

    #[test]
    fn shares_of_correct_answers_over_two_batches() {
        let outputs = array![[0.1, 0.9, 0.5], [0.3, 0.2, 0.1], [0.1, 0.2, 0.3]];
        let targets = Targets::Classes(vec![2, 0, 0]);
        let batch = Predictions {
            outputs: outputs.view(),
            targets: &targets,
            indices: &[0, 1, 2],
        };
        let value = |metric: &dyn Metric| {
            let mut sums = Sums::default();
            assert_eq!(metric.value(&sums), 0.0);
            metric.update(&batch, &mut sums).unwrap();
            metric.update(&batch, &mut sums).unwrap();
            metric.value(&sums)
        };
        assert_eq!(value(&Accuracy), 1.0 / 3.0);
        assert_eq!(value(&TopK::new(1)), 1.0 / 3.0);
        assert_eq!(value(&TopK::new(2)), 2.0 / 3.0);
        assert_eq!(value(&TopK::new(9)), 1.0);
        assert_eq!(TopK::new(5).name(), "top-5");
    }

    #[test]
    fn targets_that_do_not_fit_are_refused() {
        let outputs = array![[0.1, 0.9]];
        for targets in [
            Targets::Classes(vec![2]),
            Targets::Classes(vec![-1]),
            Targets::Classes(vec![0, 1]),
            Targets::Values {
                values: vec![0.0; 2],
                dim: 2,
            },
        ] {
            let batch = Predictions {
                outputs: outputs.view(),
                targets: &targets,
                indices: &[0],
            };
            let error = Accuracy.update(&batch, &mut Sums::default()).unwrap_err();
            let error = error.to_string();
            assert!(error.starts_with("metric \"accuracy\": needs"), "{error}");
            assert!(error.contains("outputs [1, 2]"), "{error}");
        }
    }
}
