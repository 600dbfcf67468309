//! Baselines of equal size.
//!
//! Modulation gives a circuit about 1.55 times the parameters of a plain model of the same widths, so a
//! baseline of equal widths is not a fair control. This finds the width at which it is.

use nac_core::model::spec::Node as _;

use super::{InputSpec, ModelConfig, ModelKind, OutputSpec};
use crate::error::Result;

/// Latent dimension at which the Perceiver IO of `config` comes closest to `parameters` scalars.
///
/// # Errors
/// A setting is out of range.
pub fn matched_latent_dim(
    config: &ModelConfig,
    inputs: &InputSpec,
    output: &OutputSpec,
    parameters: usize,
) -> Result<usize> {
    let count = |latent_dim: usize| -> Result<usize> {
        let mut config = ModelConfig {
            kind: ModelKind::PerceiverIo,
            ..config.clone()
        };
        config.perceiver_io.latent_dim = latent_dim;
        Ok(config.resolve(inputs, output.width())?.parameter_count())
    };
    let mut high = 1;
    while count(high)? < parameters && high < 1 << 16 {
        high *= 2;
    }
    let mut low = high / 2;
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if count(middle)? < parameters {
            low = middle
        } else {
            high = middle
        }
    }
    let below = if low == 0 { 0 } else { count(low)? };
    let nearer_below = low > 0 && parameters.abs_diff(below) < parameters.abs_diff(count(high)?);
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
        let target = config.resolve(&input, 10).unwrap().parameter_count();
        let dim = matched_latent_dim(&config, &input, &OutputSpec::classes(10), target).unwrap();
        config.kind = ModelKind::PerceiverIo;
        config.perceiver_io.latent_dim = dim;
        let found = config.resolve(&input, 10).unwrap().parameter_count();
        assert!(
            found.abs_diff(target) * 50 < target,
            "{found} against {target}"
        );
    }
}
