//! Baselines of equal size.
//!
//! Modulation gives a circuit about 1.55 times the parameters of a plain model of the same widths, so a
//! baseline of equal widths is not a fair control. This finds the width at which it is, by parameters or by the
//! operations of training.

use nac_core::model::spec::{Algorithm, ModelSpec, Node as _};

use super::{InputSpec, ModelConfig, ModelKind, OutputSpec};
use crate::error::Result;

/// What two models of equal size have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// Trained scalars.
    Parameters,
    /// Floating-point operations of a training step with so many examples, as [`Algorithm::Folded`] computes.
    TrainingFlops {
        /// Examples of a step.
        batch: usize,
    },
}

impl Measure {
    /// The size of a model.
    #[must_use]
    pub fn of(self, model: &ModelSpec) -> u64 {
        match self {
            Self::Parameters => model.parameter_count() as u64,
            Self::TrainingFlops { batch } => {
                model.operations(Algorithm::Folded).training_step(batch)
            }
        }
    }
}

/// Latent dimension at which the Perceiver IO of `config` comes closest in size to the circuit of `config`.
///
/// # Errors
/// A setting is out of range.
pub fn matched_latent_dim(
    config: &ModelConfig,
    inputs: &InputSpec,
    output: &OutputSpec,
    measure: Measure,
) -> Result<usize> {
    let size = |kind: ModelKind, latent_dim: usize| -> Result<u64> {
        let mut config = config.clone();
        config.kind = kind;
        config.perceiver_io.latent_dim = latent_dim;
        Ok(measure.of(&config.resolve(inputs, output.width())?))
    };
    let target = size(ModelKind::Nac, 1)?;
    let size = |latent_dim| size(ModelKind::PerceiverIo, latent_dim);
    let mut high = 1;
    while size(high)? < target && high < 1 << 16 {
        high *= 2;
    }
    let mut low = high / 2;
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if size(middle)? < target {
            low = middle
        } else {
            high = middle
        }
    }
    let below = if low == 0 { 0 } else { size(low)? };
    let nearer_below = low > 0 && target.abs_diff(below) < target.abs_diff(size(high)?);
    Ok(if nearer_below { low } else { high })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn baseline_comes_within_two_percent_of_the_circuit() {
        let mut config = ModelConfig::default();
        config.circuit.modules = 16;
        config.circuit.state_dim = 48;
        config.circuit.propagators = 2;
        config.perceiver_io.depth = 2;
        config.perceiver_io.latents = 16;
        let input = InputSpec::tokens(17, 32, 0);
        let mut widths = Vec::new();
        for measure in [Measure::Parameters, Measure::TrainingFlops { batch: 4 }] {
            let mut config = config.clone();
            let target = measure.of(&config.resolve(&input, 10).unwrap());
            let dim = matched_latent_dim(&config, &input, &OutputSpec::classes(10), measure);
            config.kind = ModelKind::PerceiverIo;
            config.perceiver_io.latent_dim = dim.unwrap();
            widths.push(config.perceiver_io.latent_dim);
            let found = measure.of(&config.resolve(&input, 10).unwrap());
            let near = found.abs_diff(target) * 50 < target;
            assert!(near, "{measure:?}: {found} against {target}");
        }
        assert_ne!(widths[0], widths[1]);
    }
}
