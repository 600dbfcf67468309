//! Spread of circuits: circuits of different texts are kept apart.
//!
//! Two examples of different texts whose circuits are at a distance `d` below the hinge `h` cost `(1 − d/h)²`; the term
//! is the mean over all such pairs of the batch. `d` is the mean squared difference of their signatures plus that of
//! their codes, over all modules and features, as far as the text changes them. Where no gate is open all circuits are
//! equal and the term has no gradient: the task opens the gates, the term keeps what they let through from vanishing.
//! Source: ours.

use nac_modules::generator::Circuit;
use tch::{Kind, Tensor};

use super::module_groups::{ModuleGroups, circuit};
use super::{LossContext, LossTerm};
use crate::error::{Result, TrainError};
use crate::scheduled::ScheduledValue;

const NAME: &str = "circuit_spread";
/// Distances from differences, not from products, which lose small ones.
const BY_DIFFERENCES: i64 = 2;

/// Cost of circuits of different texts that are close.
#[derive(Debug, Clone)]
pub struct CircuitSpread {
    weight: ScheduledValue,
    progress: f64,
    hinge: f64,
    modules: ModuleGroups,
}

impl CircuitSpread {
    /// A term with `weight` on circuits closer than `hinge`, of these modules.
    pub fn new(weight: impl Into<ScheduledValue>, hinge: f64, modules: ModuleGroups) -> Self {
        Self {
            weight: weight.into(),
            progress: 0.0,
            hinge,
            modules,
        }
    }

    /// Distance of the circuits of each two examples, `[batch, batch]`.
    fn distances(&self, circuit: &Circuit) -> Result<Option<Tensor>> {
        let sets: Vec<_> = self
            .modules
            .iter()
            .map(|group| circuit.group(group))
            .collect();
        let kinds = [
            sets.iter().map(|set| &set.signatures).collect::<Vec<_>>(),
            sets.iter().map(|set| &set.codes).collect(),
        ];
        let mut sum: Option<Tensor> = None;
        for kind in kinds {
            let changed = kind.into_iter().filter(|tensor| tensor.dim() == 3);
            let flat = changed.map(|tensor| tensor.f_flatten(1, 2));
            let flat = flat.collect::<std::result::Result<Vec<_>, _>>()?;
            if flat.is_empty() {
                continue;
            }
            let all = Tensor::f_cat(&flat, 1)?;
            let features = all.size()[1] as f64;
            let squares = Tensor::f_cdist(&all, &all, 2.0, BY_DIFFERENCES)?.f_square()?;
            let mean = squares.f_div_scalar(features)?;
            sum = Some(match sum {
                Some(sum) => sum.f_add(&mean)?,
                None => mean,
            });
        }
        Ok(sum)
    }
}

impl LossTerm for CircuitSpread {
    fn name(&self) -> &str {
        NAME
    }

    fn weight(&self) -> f64 {
        self.weight.at(self.progress)
    }

    fn set_progress(&mut self, progress: f64) {
        self.progress = progress;
    }

    fn compute(&mut self, context: &LossContext<'_>) -> Result<Tensor> {
        let circuit = &circuit(context.output, NAME)?.circuit;
        let (Some(texts), Some(distances)) = (&circuit.texts, self.distances(circuit)?) else {
            return Err(TrainError::Loss {
                name: NAME.to_owned(),
                reason: "no text changes the circuit".into(),
            });
        };
        let different = texts.f_unsqueeze(0)?.f_ne_tensor(&texts.f_unsqueeze(1)?)?;
        let missing = distances.f_div_scalar(-self.hinge)?.f_add_scalar(1.0)?;
        let cost = missing.f_clamp_min(0.0)?.f_square()?;
        let counted = cost.f_masked_fill(&different.f_logical_not()?, 0.0)?;
        let pairs = different.f_sum(distances.kind())?.f_clamp_min(1.0)?;
        Ok(counted.f_sum(None::<Kind>)?.f_div(&pairs)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nac_modules::circuit::CircuitOutput;
    use nac_modules::generator::ModuleSet;
    use nac_modules::model::ModelOutput;
    use nac_modules::params::ParamStore;
    use nac_modules::testing::LinearModel;
    use tch::Device;

    /// A circuit of one module whose signatures and codes have one feature, the codes the same for all.
    fn output(signatures: &Tensor, texts: Option<&[i64]>) -> ModelOutput {
        let set = || ModuleSet {
            signatures: signatures.view([-1, 1, 1]),
            codes: Tensor::ones([1, 1], (Kind::Double, Device::Cpu)),
            layer_codes: Vec::new(),
            states: Tensor::ones([1, 1], (Kind::Double, Device::Cpu)),
        };
        let circuit = Circuit {
            read_in: set(),
            processors: set(),
            read_out: set(),
            texts: texts.map(Tensor::from_slice),
        };
        ModelOutput {
            logits: Tensor::zeros([signatures.numel() as i64, 2], (Kind::Double, Device::Cpu)),
            circuit: Some(CircuitOutput::new(circuit, Vec::new())),
            intermediates: Default::default(),
        }
    }

    fn term(signatures: &Tensor, texts: Option<&[i64]>) -> Result<Tensor> {
        let model = LinearModel::new(ParamStore::cpu(1), "image", 4, 2)?;
        let mut term = CircuitSpread::new(0.1, 0.5, ModuleGroups::PROCESSORS);
        term.compute(&LossContext {
            output: &output(signatures, texts),
            targets: &Tensor::zeros([2], (Kind::Int64, Device::Cpu)),
            model: &model,
            step: 0,
        })
    }

    #[test]
    fn close_circuits_of_different_texts_cost_and_are_pushed_apart() {
        // Of different texts: 0 and 0.5, 0.5 and 0 again (d = 0.25), and 0 and 3, 0.5 and 3, which are far apart.
        let signatures = Tensor::from_slice(&[0.0, 0.5, 0.0, 3.0]).set_requires_grad(true);
        let value = term(&signatures, Some(&[0, 1, 0, 2])).unwrap();
        let expected = (2.0 * 0.25 + 3.0 * 0.0) / 5.0;
        assert!((value.double_value(&[]) - expected).abs() < 1e-12);
        value.backward();
        let gradient = Vec::<f64>::try_from(signatures.grad()).unwrap();
        assert!(gradient[0] > 0.0 && gradient[1] < 0.0 && gradient[3] == 0.0);
        assert_eq!(gradient[0], gradient[2]);
    }

    #[test]
    fn equal_texts_cost_nothing_and_closed_gates_give_a_finite_gradient() {
        let signatures = Tensor::from_slice(&[1.0, 1.0]).set_requires_grad(true);
        let value = term(&signatures, Some(&[0, 0])).unwrap();
        assert_eq!(value.double_value(&[]), 0.0);
        let value = term(&signatures, Some(&[0, 1])).unwrap();
        assert_eq!(value.double_value(&[]), 1.0);
        value.backward();
        assert_eq!(Vec::<f64>::try_from(signatures.grad()).unwrap(), [0.0, 0.0]);
        let error = term(&signatures, None).unwrap_err().to_string();
        assert!(error.contains("circuit_spread"), "{error}");
    }
}
