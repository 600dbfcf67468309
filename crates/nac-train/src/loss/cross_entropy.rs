//! Cross-entropy with label smoothing: the target is `1 − s` on the label plus `s/classes` everywhere. Where examples were
//! mixed, the target is `1 − s` times the share of each class plus `s/classes`.

use tch::{Kind, Reduction, Tensor};

use super::{LossContext, LossTerm};
use crate::error::{Result, TrainError};

/// Mean cross-entropy of a batch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CrossEntropy {
    label_smoothing: f64,
}

impl CrossEntropy {
    /// Cross-entropy with `label_smoothing` in `[0, 1)`; 0 for none.
    pub fn new(label_smoothing: f64) -> Self {
        Self { label_smoothing }
    }
}

impl LossTerm for CrossEntropy {
    fn name(&self) -> &str {
        "cross_entropy"
    }

    fn compute(&mut self, context: &LossContext<'_>) -> Result<Tensor> {
        let (logits, classes) = (&context.output.logits, context.targets);
        let labels = classes.size() == [logits.size()[0]] && classes.kind() == Kind::Int64;
        let shares = classes.size() == logits.size() && classes.is_floating_point();
        if !labels && !shares {
            let (found, kind) = (classes.size(), classes.kind());
            let reason = format!(
                "expected one class or the shares of all classes for each example, found {found:?} of {kind:?}"
            );
            return Err(TrainError::Loss {
                name: self.name().into(),
                reason,
            });
        }
        let classes = if shares {
            &classes.f_to_kind(logits.kind())?
        } else {
            classes
        };
        Ok(logits.f_cross_entropy_loss::<Tensor>(
            classes,
            None,
            Reduction::Mean,
            -100,
            self.label_smoothing,
        )?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nac_modules::model::ModelOutput;
    use nac_modules::params::ParamStore;
    use nac_modules::testing::LinearModel;
    use tch::Device;

    #[test]
    fn agrees_with_the_definition() {
        let rows = [[0.5_f64, -1.0, 2.0], [0.0, 0.3, -0.7]];
        let (labels, smoothing) = ([2_usize, 0], 0.1);
        let mut expected = 0.0;
        for (row, label) in rows.iter().zip(labels) {
            let sum: f64 = row.iter().map(|x| x.exp()).sum();
            for (class, x) in row.iter().enumerate() {
                let target = smoothing / 3.0 + if class == label { 1.0 - smoothing } else { 0.0 };
                expected -= target * (x - sum.ln()) / 2.0;
            }
        }
        let model =
            LinearModel::new(ParamStore::new(Device::Cpu, Kind::Float, 0), "x", 1, 3).unwrap();
        let output = ModelOutput::new(Tensor::from_slice2(&rows));
        let labels = Tensor::from_slice(&[2_i64, 0]);
        let context = LossContext {
            output: &output,
            targets: &labels,
            model: &model,
            step: 0,
        };
        let found = CrossEntropy::new(smoothing)
            .compute(&context)
            .unwrap()
            .double_value(&[]);
        assert!(
            (found - expected).abs() < 1e-12,
            "{found}, expected {expected}"
        );
    }

    #[test]
    fn shares_weigh_the_losses_of_their_classes() {
        let model =
            LinearModel::new(ParamStore::new(Device::Cpu, Kind::Float, 0), "x", 1, 3).unwrap();
        let output = ModelOutput::new(Tensor::from_slice2(&[
            [0.5_f64, -1.0, 2.0],
            [0.0, 0.3, -0.7],
        ]));
        let mut loss = CrossEntropy::new(0.1);
        let mut compute = |targets: &Tensor| {
            let context = LossContext {
                output: &output,
                targets,
                model: &model,
                step: 0,
            };
            loss.compute(&context).map(|loss| loss.double_value(&[]))
        };
        let first = compute(&Tensor::from_slice(&[2_i64, 0])).unwrap();
        let second = compute(&Tensor::from_slice(&[0_i64, 2])).unwrap();
        let mixed = Tensor::from_slice2(&[[0.25_f32, 0.0, 0.75], [0.75, 0.0, 0.25]]);
        let found = compute(&mixed).unwrap();
        assert!((found - 0.75 * first - 0.25 * second).abs() < 1e-12);
        assert!(compute(&mixed.narrow(1, 0, 2)).is_err());
    }
}
