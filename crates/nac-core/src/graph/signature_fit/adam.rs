//! Adam on signatures: `β = (0.9, 0.999)`, `ε = 1e-8`, without weight decay.

use ndarray::{Array2, Zip};

use super::FitTarget;
use crate::CoreError;

const BETAS: (f64, f64) = (0.9, 0.999);
const EPS: f64 = 1e-8;

/// Signatures after a fit.
#[derive(Debug, Clone, PartialEq)]
pub struct SignatureFit {
    /// Signatures, `[modules, dim]`.
    pub signatures: Array2<f64>,
    /// Loss before each step, `[iterations]`.
    pub losses: Vec<f64>,
    /// [`FitTarget::score`] of the signatures; 0 is best.
    pub score: f64,
}

/// Moves `signatures` towards `target` by `iterations` steps of Adam.
///
/// # Shapes
/// - signatures: `[modules, dim]`
///
/// # Errors
/// [`CoreError::InvalidParameter`] unless the learning rate is finite and greater than 0; otherwise as
/// [`FitTarget::loss_and_gradient`].
pub fn fit_signatures(
    mut signatures: Array2<f64>,
    target: &FitTarget,
    iterations: usize,
    learning_rate: f64,
) -> Result<SignatureFit, CoreError> {
    check_learning_rate("fit_signatures", learning_rate)?;
    let mut first = Array2::<f64>::zeros(signatures.dim());
    let mut second = first.clone();
    let mut losses = Vec::with_capacity(iterations.min(1 << 20));
    let (mut left_first, mut left_second) = (1.0, 1.0);
    for _ in 0..iterations {
        let (loss, gradient) = target.loss_and_gradient(signatures.view())?;
        losses.push(loss);
        left_first *= BETAS.0;
        left_second *= BETAS.1;
        let rate = learning_rate / (1.0 - left_first);
        let scale = (1.0 - left_second).sqrt();
        Zip::from(&mut signatures)
            .and(&mut first)
            .and(&mut second)
            .and(&gradient)
            .for_each(|signature, m, v, &g| {
                *m = BETAS.0 * *m + (1.0 - BETAS.0) * g;
                *v = BETAS.1 * *v + (1.0 - BETAS.1) * g * g;
                *signature -= rate * *m / (v.sqrt() / scale + EPS);
            });
    }
    let score = target.score(signatures.view())?;
    Ok(SignatureFit {
        signatures,
        losses,
        score,
    })
}

pub(super) fn check_learning_rate(op: &'static str, rate: f64) -> Result<(), CoreError> {
    if !(rate.is_finite() && rate > 0.0) {
        let expected = "finite and greater than 0";
        return Err(CoreError::parameter(op, "learning_rate", rate, expected));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::{FitObjective, SignatureFitConfig};
    use crate::Streams;
    use crate::graph::GraphGenerator;

    #[test]
    fn cliques_are_found_and_do_not_depend_on_threads() {
        let mut config = SignatureFitConfig::new(GraphGenerator::RingOfCliques { cliques: 4 });
        (config.iterations, config.learning_rate) = (300, 0.01);
        let fit = || config.signatures(80, 16, Streams::new(1)).unwrap();
        let found = fit();
        assert_eq!(found.losses.len(), 300);
        assert!(found.losses[299] < found.losses[0]);
        // Only the four links between cliques may fail.
        assert!(found.score <= 8.0 / 6400.0, "{}", found.score);
        let one = rayon::ThreadPoolBuilder::new()
            .num_threads(1)
            .build()
            .unwrap();
        assert_eq!(one.install(fit), found);
        config.objective = FitObjective::Mse;
        let found = config.signatures(80, 16, Streams::new(1)).unwrap();
        assert!(found.score < 0.5 * found.losses[0], "{}", found.score);
    }

    #[test]
    fn settings_are_checked_and_read() {
        let text = r#"{"graph": {"name": "barabasi-albert"}, "truncation": 0.9}"#;
        let config: SignatureFitConfig = serde_json::from_str(text).unwrap();
        let expected = SignatureFitConfig {
            truncation: 0.9,
            ..SignatureFitConfig::new(GraphGenerator::BarabasiAlbert { m: 2 })
        };
        assert_eq!(config, expected);
        assert!(
            serde_json::from_str::<SignatureFitConfig>(
                r#"{"graph": {"name": "complete"}, "it": 1}"#
            )
            .is_err()
        );
        let wrong = [
            SignatureFitConfig {
                learning_rate: 0.0,
                ..config
            },
            SignatureFitConfig {
                truncation: f64::NAN,
                ..config
            },
            SignatureFitConfig::new(GraphGenerator::BarabasiAlbert { m: 9 }),
        ];
        for config in wrong {
            assert!(
                config.signatures(8, 4, Streams::new(0)).is_err(),
                "{config:?}"
            );
        }
        assert!(config.signatures(8, 0, Streams::new(0)).is_err());
    }
}
