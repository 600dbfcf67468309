//! Mean squared error of real-valued outputs: `mean (y − ŷ)²` over examples and targets.

use tch::Tensor;

use super::{LossContext, LossTerm};
use crate::error::{Result, TrainError};

const NAME: &str = "mean_squared_error";

/// Mean squared error of a batch, for real-valued targets.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct MeanSquaredError;

impl LossTerm for MeanSquaredError {
    fn name(&self) -> &str {
        NAME
    }

    fn compute(&mut self, context: &LossContext<'_>) -> Result<Tensor> {
        let (outputs, targets) = (&context.output.logits, context.targets);
        // Without this check, targets of another shape would be broadcast.
        if outputs.size() != targets.size() || !targets.is_floating_point() {
            let (found, kind) = (targets.size(), targets.kind());
            return Err(TrainError::Loss {
                name: NAME.into(),
                reason: format!(
                    "outputs {:?}, targets {found:?} of {kind:?}",
                    outputs.size()
                ),
            });
        }
        let targets = targets.f_to_kind(outputs.kind())?;
        Ok(outputs.f_sub(&targets)?.f_square()?.f_mean(None)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nac_modules::model::ModelOutput;
    use nac_modules::params::ParamStore;
    use nac_modules::testing::LinearModel;
    use tch::{Device, Kind};

    #[test]
    fn agrees_with_the_definition_and_never_broadcasts() {
        let store = ParamStore::new(Device::Cpu, Kind::Float, 0);
        let model = LinearModel::new(store, "x", 1, 2).unwrap();
        let output = ModelOutput::new(Tensor::from_slice2(&[[1.0_f64, 10.0], [2.0, 30.0]]));
        let loss = |targets: &Tensor| {
            MeanSquaredError.compute(&LossContext {
                output: &output,
                targets,
                model: &model,
                step: 0,
            })
        };
        let targets = Tensor::from_slice2(&[[0.0_f32, 10.0], [4.0, 28.0]]);
        assert_eq!(loss(&targets).unwrap().double_value(&[]), 9.0 / 4.0);
        for wrong in [targets.narrow(1, 0, 1), targets.to_kind(Kind::Int64)] {
            let error = loss(&wrong).unwrap_err().to_string();
            assert!(error.contains("outputs [2, 2], targets [2"), "{error}");
        }
    }
}
