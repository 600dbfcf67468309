//! Metrics of real-valued outputs. With several targets all of them count alike.

use super::metric::{Metric, Predictions};
use super::sums::Sums;
use crate::error::Result;

/// `mean (y − ŷ)²`. Called `mse`.
#[derive(Debug, Clone, Copy, Default)]
pub struct MeanSquaredError;

/// `mean |y − ŷ|`. Called `mae`.
#[derive(Debug, Clone, Copy, Default)]
pub struct MeanAbsoluteError;

/// `1 − Σ(y − ŷ)² / Σ(y − ȳ)²` of each target, and the mean of these. Called `r2`. A target that does not vary gives 1
/// where every answer is right, else 0.
#[derive(Debug, Clone, Copy, Default)]
pub struct RSquared;

impl Metric for MeanSquaredError {
    fn name(&self) -> &str {
        "mse"
    }

    fn update(&self, batch: &Predictions<'_>, sums: &mut Sums) -> Result<()> {
        add_differences(batch, self.name(), sums, |difference| difference.powi(2))
    }

    fn value(&self, sums: &Sums) -> f64 {
        sums.ratio()
    }
}

impl Metric for MeanAbsoluteError {
    fn name(&self) -> &str {
        "mae"
    }

    fn update(&self, batch: &Predictions<'_>, sums: &mut Sums) -> Result<()> {
        add_differences(batch, self.name(), sums, f64::abs)
    }

    fn value(&self, sums: &Sums) -> f64 {
        sums.ratio()
    }
}

fn add_differences(
    batch: &Predictions<'_>,
    name: &str,
    sums: &mut Sums,
    size: fn(f64) -> f64,
) -> Result<()> {
    for (outputs, targets) in batch.values(name)? {
        for (output, &target) in outputs.iter().zip(targets) {
            sums.add(&[size(output - f64::from(target)), 1.0]);
        }
    }
    Ok(())
}

impl Metric for RSquared {
    fn name(&self) -> &str {
        "r2"
    }

    fn update(&self, batch: &Predictions<'_>, sums: &mut Sums) -> Result<()> {
        for (outputs, targets) in batch.values(self.name())? {
            for (index, (output, &target)) in outputs.iter().zip(targets).enumerate() {
                let target = f64::from(target);
                let error = (target - output).powi(2);
                sums.add_to_group(index as u64, &[1.0, target, target * target, error]);
            }
        }
        Ok(())
    }

    fn value(&self, sums: &Sums) -> f64 {
        let of_target = |sums: &[f64]| match *sums {
            [count, sum, squares, errors] if count > 0.0 => {
                let spread = squares - sum * sum / count;
                // Below this, the spread is rounding of the two sums.
                if spread > f64::EPSILON * squares {
                    1.0 - errors / spread
                } else {
                    f64::from(u8::from(errors == 0.0))
                }
            }
            _ => 0.0,
        };
        sums.groups().map(of_target).sum::<f64>() / sums.groups().len().max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nac_data::Targets;
    use ndarray::{Array2, array};

    fn value(metric: &dyn Metric, outputs: &Array2<f64>, values: &[f32]) -> f64 {
        let mut sums = Sums::default();
        // One example a batch.
        for (index, row) in outputs.outer_iter().enumerate() {
            let dim = row.len();
            let targets = Targets::Values {
                values: values[index * dim..(index + 1) * dim].to_vec(),
                dim,
            };
            let batch = Predictions {
                outputs: row.insert_axis(ndarray::Axis(0)),
                targets: &targets,
                indices: &[index],
            };
            metric.update(&batch, &mut sums).unwrap();
        }
        metric.value(&sums)
    }

    #[test]
    fn regression_metrics_agree_with_their_definitions() {
        let outputs = array![[1.0, 10.0], [2.0, 10.0], [4.0, 40.0]];
        let targets = [1.0, 20.0, 3.0, 10.0, 5.0, 30.0];
        let close = |found: f64, expected: f64| {
            assert!((found - expected).abs() < 1e-12, "{found}, not {expected}");
        };
        close(value(&MeanSquaredError, &outputs, &targets), 202.0 / 6.0);
        close(value(&MeanAbsoluteError, &outputs, &targets), 22.0 / 6.0);
        // First target: mean 3, spread 8, errors 2. Second: mean 20, spread 200, errors 200.
        close(value(&RSquared, &outputs, &targets), (0.75 + 0.0) / 2.0);
        // The outputs differ from constant targets, or do not.
        let constant = array![[0.1], [0.1]];
        assert_eq!(value(&RSquared, &constant, &[0.3, 0.3]), 0.0);
        assert_eq!(value(&RSquared, &array![[0.5], [0.5]], &[0.5, 0.5]), 1.0);
        assert_eq!(RSquared.value(&Sums::default()), 0.0);
    }

    #[test]
    fn classes_are_refused() {
        let outputs = array![[1.0]];
        let batch = Predictions {
            outputs: outputs.view(),
            targets: &Targets::Classes(vec![0]),
            indices: &[0],
        };
        for metric in [
            &MeanSquaredError as &dyn Metric,
            &MeanAbsoluteError,
            &RSquared,
        ] {
            assert!(metric.update(&batch, &mut Sums::default()).is_err());
        }
    }
}
