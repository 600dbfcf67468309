//! Distribution of signature distances: keeps them as likely as they were at the start.
//!
//! A mixture of normal distributions is fitted to the cosine distances of all pairs of modules at the first
//! step; from then on the term is the negative log-likelihood of the distances, `−log p(d)`, summed or averaged
//! over pairs. Of signatures per example it is the mean over the batch. Source: reference `SignatureDistributionRegularization`.

use std::collections::BTreeMap;

use tch::{Kind, Tensor};

use super::module_groups::{ModuleGroups, pair_distances};
use super::{LossContext, LossTerm, Mixture, Reduction};
use crate::error::{Result, TrainError};
use crate::scheduled::ScheduledValue;

const NAME: &str = "signature_distribution";
const STATE: &str = "mixture";

/// Negative log-likelihood of signature distances.
#[derive(Debug, Clone)]
pub struct SignatureDistribution {
    weight: ScheduledValue,
    progress: f64,
    components: usize,
    reduction: Reduction,
    modules: ModuleGroups,
    mixture: Option<Mixture>,
}

impl SignatureDistribution {
    /// A term with `weight` and a mixture of `components` components, between these modules.
    pub fn new(
        weight: impl Into<ScheduledValue>,
        components: usize,
        reduction: Reduction,
        modules: ModuleGroups,
    ) -> Self {
        Self {
            weight: weight.into(),
            progress: 0.0,
            components,
            reduction,
            modules,
            mixture: None,
        }
    }

    /// The same term with a mixture that is known already.
    #[must_use]
    pub fn with_mixture(self, mixture: Mixture) -> Self {
        let mixture = Some(mixture);
        Self { mixture, ..self }
    }
}

impl LossTerm for SignatureDistribution {
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
        let mixture = match self.mixture.take() {
            Some(mixture) => mixture,
            None => {
                let distances = tch::no_grad(|| pair_distances(&signatures))?;
                let distances = distances.f_to_kind(Kind::Double)?;
                let distances = distances.f_to_device(tch::Device::Cpu)?.f_flatten(0, -1)?;
                let values = Vec::<f64>::try_from(distances)?;
                Mixture::fit(&values, self.components).map_err(|error| failed(error.to_string()))?
            }
        };
        let value = mixture_nll(&signatures, &mixture, self.reduction);
        self.mixture = Some(mixture);
        value
    }

    fn state(&self) -> BTreeMap<String, Tensor> {
        let table = self.mixture.iter().map(|mixture| {
            let (weights, means, sigmas) = mixture.parts();
            let table = Tensor::from_slice(&[weights, means, sigmas].concat());
            (STATE.to_owned(), table.view([3, weights.len() as i64]))
        });
        table.collect()
    }

    fn restore(&mut self, state: &BTreeMap<String, Tensor>) -> Result<()> {
        let Some(table) = state.get(STATE) else {
            return Ok(());
        };
        let size = table.size();
        let values = Vec::<f64>::try_from(table.f_to_kind(Kind::Double)?.f_view([-1_i64])?)?;
        let parts: Vec<Vec<f64>> = match size.as_slice() {
            [3, components] if *components > 0 => {
                let components = usize::try_from(*components).unwrap_or(1);
                values.chunks(components).map(<[f64]>::to_vec).collect()
            }
            _ => Vec::new(),
        };
        let Ok([weights, means, sigmas]) = <[Vec<f64>; 3]>::try_from(parts) else {
            let reason = format!("{NAME}: {STATE} is {size:?}, expected [3, components]");
            return Err(TrainError::State(reason));
        };
        let mixture = Mixture::new(weights, means, sigmas)
            .map_err(|error| TrainError::State(format!("{NAME}: {error}")))?;
        self.mixture = Some(mixture);
        Ok(())
    }
}

/// Negative log-likelihood of the cosine distances of all pairs of modules under a mixture, in the mean over the batch.
/// With fewer than two modules it is 0.
///
/// # Shapes
/// - signatures: `[modules, dim]` or `[batch, modules, dim]`
/// - output: `[]`, differentiable
///
/// # Errors
/// The signatures have another rank.
pub fn mixture_nll(signatures: &Tensor, mixture: &Mixture, reduction: Reduction) -> Result<Tensor> {
    let distances = pair_distances(signatures)?;
    if distances.numel() == 0 {
        return Ok(distances.f_sum(None::<Kind>)?);
    }
    let (weights, means, sigmas) = mixture.parts();
    let row = |values: &[f64]| {
        Tensor::f_from_slice(values)?
            .f_to_device(distances.device())?
            .f_to_kind(distances.kind())
    };
    let scores = distances
        .f_unsqueeze(-1)?
        .f_sub(&row(means)?)?
        .f_div(&row(sigmas)?)?;
    let constants: Vec<f64> = weights
        .iter()
        .zip(sigmas)
        .map(|(weight, sigma)| weight.ln() - sigma.ln() - 0.5 * std::f64::consts::TAU.ln())
        .collect();
    let logs = row(&constants)?.f_sub(&scores.f_square()?.f_mul_scalar(0.5)?)?;
    let surprise = logs.f_logsumexp([-1_i64].as_slice(), false)?.f_neg()?;
    let each = match reduction {
        Reduction::Sum => surprise.f_sum_dim_intlist([-1_i64].as_slice(), false, None::<Kind>)?,
        Reduction::Mean => surprise.f_mean_dim([-1_i64].as_slice(), false, None::<Kind>)?,
        Reduction::Max => surprise.f_amax([-1_i64].as_slice(), false)?,
    };
    Ok(each.f_mean(None::<Kind>)?)
}

fn failed(reason: String) -> TrainError {
    TrainError::Loss {
        name: NAME.into(),
        reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_agrees_with_the_mixture_itself() {
        let rows = [[1.0_f64, 0.2], [0.3, 0.8], [-0.5, 0.4], [0.9, -0.1]];
        let signatures = Tensor::from_slice2(&rows);
        let mixture = Mixture::new(vec![0.3, 0.7], vec![0.2, 1.1], vec![0.1, 0.4]).unwrap();
        let mut expected = Vec::new();
        for i in 0..4 {
            for j in i + 1..4 {
                let (a, b) = (rows[i], rows[j]);
                let norms = (a[0].hypot(a[1])) * (b[0].hypot(b[1]));
                let distance = 1.0 - (a[0] * b[0] + a[1] * b[1]) / norms;
                expected.push(-mixture.log_likelihood(&[distance]));
            }
        }
        let sum: f64 = expected.iter().sum();
        let greatest = expected.iter().fold(f64::NEG_INFINITY, |m, &x| m.max(x));
        for (reduction, expected) in [
            (Reduction::Sum, sum),
            (Reduction::Mean, sum / 6.0),
            (Reduction::Max, greatest),
        ] {
            let found = mixture_nll(&signatures, &mixture, reduction).unwrap();
            assert!((found.double_value(&[]) - expected).abs() < 1e-12);
        }
    }

    #[test]
    fn the_mixture_is_saved_and_restored() {
        let mixture = Mixture::new(vec![0.3, 0.7], vec![0.2, 1.1], vec![0.1, 0.4]).unwrap();
        let term = || SignatureDistribution::new(0.1, 2, Reduction::Mean, ModuleGroups::ALL);
        let saved = term().with_mixture(mixture.clone()).state();
        let mut restored = term();
        restored.restore(&saved).unwrap();
        assert_eq!(restored.mixture, Some(mixture));
        assert!(term().state().is_empty());
        let bad = BTreeMap::from([(STATE.to_owned(), Tensor::from_slice(&[1.0, 2.0]))]);
        assert!(
            restored
                .restore(&bad)
                .unwrap_err()
                .to_string()
                .contains("[3, components]")
        );
    }
}
