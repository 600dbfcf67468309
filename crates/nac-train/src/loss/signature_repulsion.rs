//! Repulsion of signatures: modules whose signatures are closer than a hinge are pushed apart.
//!
//! Of all pairs of different modules, those at a cosine distance `d < hinge` (and, with a truncation, not above it)
//! count: the term is minus their sum, mean or greatest distance. A pair that reaches the hinge does not
//! count, so the term itself jumps there, and falls only between such jumps. With no such pair the term is 0 and has no
//! gradient, where the reference's is NaN or an error. Source: reference `SignatureHingeRepulsion`.

use tch::{Kind, Tensor};

use super::module_groups::{ModuleGroups, pair_distances};
use super::{LossContext, LossTerm, Reduction};
use crate::error::Result;
use crate::scheduled::ScheduledValue;

const NAME: &str = "signature_repulsion";

/// Minus the distances of signatures that are too close.
#[derive(Debug, Clone)]
pub struct SignatureRepulsion {
    weight: ScheduledValue,
    progress: f64,
    hinge: f64,
    truncation: Option<f64>,
    reduction: Reduction,
    modules: ModuleGroups,
}

impl SignatureRepulsion {
    /// A term with `weight` on pairs closer than `hinge`, between these modules.
    pub fn new(
        weight: impl Into<ScheduledValue>,
        hinge: f64,
        truncation: Option<f64>,
        reduction: Reduction,
        modules: ModuleGroups,
    ) -> Self {
        Self {
            weight: weight.into(),
            progress: 0.0,
            hinge,
            truncation,
            reduction,
            modules,
        }
    }
}

impl LossTerm for SignatureRepulsion {
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
        let signatures = self.modules.signatures(context.output, NAME)?;
        repulsion(&signatures, self.hinge, self.truncation, self.reduction)
    }
}

/// Minus the sum, mean or greatest of the cosine distances below `hinge` and not above `truncation`, 0 if there
/// are none; in the mean over the batch.
///
/// # Shapes
/// - signatures: `[modules, dim]` or `[batch, modules, dim]`
/// - output: `[]`, differentiable
///
/// # Errors
/// The signatures have another rank.
pub fn repulsion(
    signatures: &Tensor,
    hinge: f64,
    truncation: Option<f64>,
    reduction: Reduction,
) -> Result<Tensor> {
    let distances = pair_distances(signatures)?;
    let mut close = distances.f_lt(hinge)?;
    if let Some(truncation) = truncation {
        close = close.f_logical_and(&distances.f_le(truncation)?)?;
    }
    let counted = distances.f_masked_fill(&close.f_logical_not()?, 0.0)?;
    let sum = |of: &Tensor| of.f_sum_dim_intlist([-1_i64].as_slice(), false, counted.kind());
    let each = match reduction {
        Reduction::Sum => sum(&counted)?,
        Reduction::Mean => sum(&counted)?.f_div(&sum(&close)?.f_clamp_min(1.0)?)?,
        // The maximum of no pairs is an error in libtorch.
        Reduction::Max if counted.numel() == 0 => sum(&counted)?,
        Reduction::Max => counted.f_amax([-1_i64].as_slice(), false)?,
    };
    Ok(each.f_mean(None::<Kind>)?.f_neg()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Reduction; 3] = [Reduction::Sum, Reduction::Mean, Reduction::Max];

    fn at_angles(degrees: &[f64]) -> Tensor {
        let rows: Vec<f64> = degrees
            .iter()
            .flat_map(|d| [d.to_radians().cos(), d.to_radians().sin()])
            .collect();
        Tensor::from_slice(&rows)
            .view([degrees.len() as i64, 2])
            .set_requires_grad(true)
    }

    #[test]
    fn only_close_pairs_count() {
        // Distances 1 − cos: 60° 0.5, 90° 1, 30° 0.134.
        let far = 1.0 - 30_f64.to_radians().cos();
        let signatures = at_angles(&[0.0, 60.0, 90.0]);
        for (reduction, hinge, truncation, expected) in [
            (Reduction::Sum, 0.6, None, -(0.5 + far)),
            (Reduction::Mean, 0.6, None, -(0.5 + far) / 2.0),
            (Reduction::Max, 0.6, None, -0.5),
            (Reduction::Sum, 0.6, Some(0.4), -far),
            (Reduction::Mean, 0.6, Some(0.4), -far),
            (Reduction::Max, 0.6, Some(0.4), -far),
        ] {
            let found = repulsion(&signatures, hinge, truncation, reduction).unwrap();
            assert!((found.double_value(&[]) - expected).abs() < 1e-12);
        }
    }

    #[test]
    fn a_step_down_its_gradient_parts_what_is_close() {
        let signatures = at_angles(&[0.0, 20.0]);
        let before = repulsion(&signatures, 0.6, None, Reduction::Mean).unwrap();
        before.backward();
        let moved = (&signatures - signatures.grad() * 0.1).detach();
        let after = repulsion(&moved, 0.6, None, Reduction::Mean).unwrap();
        assert!(after.double_value(&[]) < before.double_value(&[]));
    }

    #[test]
    fn nothing_too_close_is_zero_without_gradient() {
        for reduction in ALL {
            for signatures in [at_angles(&[0.0, 90.0, 180.0]), at_angles(&[0.0])] {
                let value = repulsion(&signatures, 0.6, None, reduction).unwrap();
                assert_eq!(value.double_value(&[]), 0.0, "{reduction:?}");
                value.backward();
                let gradient = signatures.grad();
                assert_eq!(gradient.abs().sum(Kind::Double).double_value(&[]), 0.0);
            }
        }
    }
}
