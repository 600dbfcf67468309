//! Drop-path (stochastic depth): leaves a residual branch out for whole examples while training.

use tch::{Device, Kind, Tensor};

use crate::context::ForwardContext;
use crate::error::{ModuleError, Result};

/// Zeroes a residual branch per example with a probability, and scales the kept ones to keep the mean.
#[derive(Debug, Clone)]
pub struct DropPath {
    probability: f64,
    name: String,
}

impl DropPath {
    /// Drops with `probability` in `[0, 1)`. `name` is the layer's stream of noise.
    ///
    /// # Errors
    /// The probability is outside `[0, 1)`.
    pub fn new(name: impl Into<String>, probability: f64) -> Result<Self> {
        if !(0.0..1.0).contains(&probability) {
            return Err(ModuleError::Setting {
                name: "drop_path".into(),
                value: probability.to_string(),
                reason: "must be at least 0 and below 1".into(),
            });
        }
        Ok(Self {
            probability,
            name: name.into(),
        })
    }

    /// Whether anything is dropped in this pass.
    pub(super) fn acts(&self, ctx: &ForwardContext<'_>) -> bool {
        self.probability > 0.0 && ctx.is_training()
    }

    /// Applies drop-path in training, nothing in evaluation.
    ///
    /// # Shapes
    /// - branch: `[batch, ...]`
    /// - output: as branch
    ///
    /// # Errors
    /// The source of noise fails.
    pub fn forward(&self, branch: Tensor, ctx: &mut ForwardContext<'_>) -> Result<Tensor> {
        if !self.acts(ctx) {
            return Ok(branch);
        }
        let mut shape = vec![1; branch.dim()];
        shape[0] = branch.size()[0];
        let mask = self.draw(&shape, (branch.kind(), branch.device()), ctx)?;
        Ok(branch * mask)
    }

    /// Factors on branches of `batch` examples `[batch, modules, state]`, `[batch]` on the CPU; `None` if nothing is
    /// dropped in this pass.
    pub(super) fn factors(
        &self,
        batch: i64,
        ctx: &mut ForwardContext<'_>,
    ) -> Result<Option<Tensor>> {
        if !self.acts(ctx) {
            return Ok(None);
        }
        let mask = self.draw(&[batch, 1, 1], (Kind::Float, Device::Cpu), ctx)?;
        Ok(Some(mask.f_view([batch])?))
    }

    fn draw(
        &self,
        shape: &[i64],
        (kind, device): (Kind, Device),
        ctx: &mut ForwardContext<'_>,
    ) -> Result<Tensor> {
        let keep = 1.0 - self.probability;
        let uniform = ctx.uniform_per_example(&self.name, shape, kind, device)?;
        Ok((uniform + keep).floor() / keep)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::RecordedNoise;

    #[test]
    fn drops_whole_examples_and_keeps_the_mean() {
        let layer = DropPath::new("x", 0.4).unwrap();
        let draws = Tensor::from_slice(&[0.1_f32, 0.39, 0.41, 0.9]).view([4, 1]);
        let branch = Tensor::ones([4, 3], (Kind::Float, Device::Cpu));
        let mut noise = RecordedNoise::new([draws]);
        let dropped = layer
            .forward(
                branch.shallow_clone(),
                &mut ForwardContext::training(&mut noise),
            )
            .unwrap();
        let rows = Vec::<f32>::try_from(dropped.select(1, 0)).unwrap();
        assert_eq!(rows, [0.0, 0.0, 1.0 / 0.6, 1.0 / 0.6]);
        let kept = layer
            .forward(
                branch.shallow_clone(),
                &mut ForwardContext::evaluation().with_noise(&mut noise),
            )
            .unwrap();
        assert_eq!(kept, branch);
        assert!(DropPath::new("x", 1.0).is_err());
    }
}
