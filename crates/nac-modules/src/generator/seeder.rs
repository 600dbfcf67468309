//! Initial states of modules from their codes.
//!
//! The mean is the code itself (final configuration) or `W_μ · LN(c) + b`; state noise adds
//! `exp(½ (W_σ · LN(c) + b)) · n` with `n` standard normal for each example. Code noise, in training,
//! first adds `U(−a|c|, a|c|)` to each entry of the code; no gradient goes through the noise.
//! Source: reference `model/nc/seeding.py`, class `LatentSeeder`.
//!
//! The reference draws state noise in evaluation too, so that two evaluations of one input differ. Here that
//! needs `noise_in_evaluation`; and code noise leaves a zero code alone, where the reference fails.

use nac_core::model::spec::{SeederSpec, StateProjectionSpec};
use tch::Tensor;

use crate::context::ForwardContext;
use crate::error::Result;
use crate::layer::{LayerNorm, Linear};
use crate::params::Scope;
use crate::shape;

/// Makes initial states. Parameters `layernorm`, `code_to_state_mu` and, with state noise,
/// `code_to_state_logvar`; none if the code is the state.
#[derive(Debug)]
pub struct Seeder {
    projection: Option<Projection>,
    code_noise: f64,
    noise_in_evaluation: bool,
    name: String,
}

#[derive(Debug)]
struct Projection {
    norm: LayerNorm,
    mean: Linear,
    log_variance: Option<Linear>,
}

impl Seeder {
    /// The seeder of `spec`.
    ///
    /// # Errors
    /// A size is zero or a name is taken.
    pub fn new(scope: &mut Scope<'_>, spec: &SeederSpec) -> Result<Self> {
        let mut projection = |spec: &StateProjectionSpec| -> Result<Projection> {
            let log_variance = spec.log_variance.as_ref();
            Ok(Projection {
                norm: LayerNorm::from_spec(scope, &spec.norm)?,
                mean: Linear::from_spec(scope, &spec.mean)?,
                log_variance: log_variance
                    .map(|layer| Linear::from_spec(scope, layer))
                    .transpose()?,
            })
        };
        Ok(Self {
            projection: spec.projection.as_ref().map(&mut projection).transpose()?,
            code_noise: spec.code_noise,
            noise_in_evaluation: spec.noise_in_evaluation,
            name: scope.sub(&spec.path).path().to_owned(),
        })
    }

    /// Initial states of modules with these codes.
    ///
    /// # Shapes
    /// - codes: `[modules, code]` or `[batch, modules, code]`
    /// - output: as codes, `[..., modules, state]`; with state noise `[batch, modules, state]`
    ///
    /// # Errors
    /// The shape does not fit, or the source of noise fails.
    pub fn forward(
        &self,
        codes: &Tensor,
        batch: i64,
        ctx: &mut ForwardContext<'_>,
    ) -> Result<Tensor> {
        let modules = codes.size().iter().rev().nth(1).copied().unwrap_or(0);
        shape::check_per_module("Seeder", "codes", codes, batch, modules, None)?;
        let per_example = codes.dim() == 3;
        let mut codes = codes.shallow_clone();
        if self.code_noise > 0.0 && ctx.is_training() {
            let name = format!("{}.code_noise", self.name);
            let (size, kind, device) = (codes.size(), codes.kind(), codes.device());
            let uniform = if per_example {
                ctx.uniform_per_example(&name, &size, kind, device)?
            } else {
                ctx.uniform(&name, &size, kind, device)?
            };
            let spread = codes.detach().abs() * self.code_noise;
            codes = &codes + (uniform * 2.0 - 1.0) * spread;
        }
        let Some(projection) = &self.projection else {
            return Ok(codes);
        };
        let normal = projection.norm.forward(&codes)?;
        let mean = projection.mean.forward(&normal)?;
        match &projection.log_variance {
            Some(log_variance) if ctx.is_training() || self.noise_in_evaluation => {
                let mut size = mean.size();
                if !per_example {
                    size.insert(0, batch);
                }
                let name = format!("{}.state_noise", self.name);
                let noise = ctx.normal_per_example(&name, &size, mean.kind(), mean.device())?;
                let deviation = (log_variance.forward(&normal)? * 0.5).exp();
                Ok(mean + deviation * noise)
            }
            _ => Ok(mean),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::StreamNoise;
    use crate::generator::{SeederConfig, StateMean};
    use crate::params::ParamStore;
    use nac_core::rng::Streams;
    use tch::{Device, Kind};

    #[test]
    fn evaluation_is_without_noise_unless_asked() {
        let run = |noise_in_evaluation, seed| {
            let mut store = ParamStore::new(Device::Cpu, Kind::Float, 3);
            let config = SeederConfig {
                mean: StateMean::Projection,
                state_noise: true,
                noise_in_evaluation,
                code_noise: 0.3,
            };
            let seeder = config.resolve("seeder", 4, 5).unwrap();
            let seeder = Seeder::new(&mut store.root(), &seeder).unwrap();
            let codes = Tensor::ones([3, 5], (Kind::Float, Device::Cpu));
            let mut noise = StreamNoise::new(Streams::new(seed));
            let mut ctx = ForwardContext::evaluation().with_noise(&mut noise);
            seeder.forward(&codes, 2, &mut ctx).unwrap()
        };
        assert_eq!(run(false, 1), run(false, 2));
        assert_eq!(run(false, 1).size(), [3, 4]);
        assert_ne!(run(true, 1), run(true, 2));
    }

    #[test]
    fn a_zero_code_survives_code_noise() {
        let mut store = ParamStore::new(Device::Cpu, Kind::Float, 3);
        let config = SeederConfig {
            code_noise: 0.5,
            ..Default::default()
        };
        let seeder = config.resolve("seeder", 5, 5).unwrap();
        let seeder = Seeder::new(&mut store.root(), &seeder).unwrap();
        let codes = Tensor::zeros([3, 5], (Kind::Float, Device::Cpu));
        let mut noise = StreamNoise::new(Streams::new(1));
        let mut ctx = ForwardContext::training(&mut noise);
        assert_eq!(seeder.forward(&codes, 2, &mut ctx).unwrap(), codes);
    }
}
