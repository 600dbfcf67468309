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
    let mut circuit = config.clone();
    circuit.kind = ModelKind::Nac;
    let target = measure.of(&circuit.resolve(inputs, output.width())?);
    nearest_width(
        |width| {
            let mut config = config.clone();
            config.kind = ModelKind::PerceiverIo;
            config.perceiver_io.latent_dim = width;
            Ok(measure.of(&config.resolve(inputs, output.width())?))
        },
        target,
    )
}

/// The model of `config` at the width that brings it closest in size to `reference`: the dimension of states of a
/// circuit, of latents of a Perceiver IO. A model without a body stays as it is.
///
/// # Errors
/// A setting is out of range.
pub fn matched_to(
    config: &ModelConfig,
    reference: &ModelConfig,
    (inputs, output): (&InputSpec, &OutputSpec),
    measure: Measure,
) -> Result<ModelConfig> {
    let target = measure.of(&reference.resolve(inputs, output.width())?);
    let at = |width: usize| {
        let mut config = config.clone();
        match config.kind {
            ModelKind::Nac => config.circuit.state_dim = width,
            ModelKind::PerceiverIo => config.perceiver_io.latent_dim = width,
            ModelKind::StemOnly => {}
        }
        config
    };
    if config.kind == ModelKind::StemOnly {
        return Ok(config.clone());
    }
    let size = |width| Ok(measure.of(&at(width).resolve(inputs, output.width())?));
    Ok(at(nearest_width(size, target)?))
}

/// The width whose size comes closest to `target`; `size` grows with the width.
fn nearest_width(size: impl Fn(usize) -> Result<u64>, target: u64) -> Result<usize> {
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
    fn controls_come_to_the_widths_of_their_presets() {
        let preset = |name: &str| {
            let name = format!("cpu-sort-of-clevr-{name}");
            nac_core::model::Preset::get(&name).unwrap().file
        };
        let reference = preset("conditional");
        let sides = (&reference.inputs, &reference.output);
        for name in ["codes", "signatures", "free", "text-tokens", "perceiver-io"] {
            let expected = preset(name).model;
            let mut start = expected.clone();
            (start.circuit.state_dim, start.perceiver_io.latent_dim) = (16, 16);
            let found = matched_to(&start, &reference.model, sides, Measure::Parameters).unwrap();
            let width = |model: &ModelConfig| match model.kind {
                ModelKind::Nac => model.circuit.state_dim,
                _ => model.perceiver_io.latent_dim,
            };
            assert_eq!(width(&found), width(&expected), "{name}");
        }
    }

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
