//! Disturbs codes in training: `c + U(−a|c|, a|c|)`.
//!
//! No gradient goes through the disturbance, and a code of zero stays zero. Source: reference `block.py`.

use tch::Tensor;

use crate::context::ForwardContext;
use crate::error::{ModuleError, Result};
use crate::params::Scope;

/// Adds uniform noise in proportion to each entry of the codes.
#[derive(Debug)]
pub(super) struct CodeNoise {
    share: f64,
    name: String,
}

impl CodeNoise {
    /// Noise of up to `share` of each entry, drawn from the stream `name` below `scope`.
    pub(super) fn new(scope: &mut Scope<'_>, name: &str, share: f64) -> Result<Self> {
        if !(share.is_finite() && share >= 0.0) {
            return Err(ModuleError::Setting {
                name: "code_noise".into(),
                value: share.to_string(),
                reason: "must be a finite number of at least 0".into(),
            });
        }
        Ok(Self {
            share,
            name: scope.sub(name).path().to_owned(),
        })
    }

    /// Codes of the same shape, disturbed in training only.
    pub(super) fn forward(&self, codes: &Tensor, ctx: &mut ForwardContext<'_>) -> Result<Tensor> {
        if self.share == 0.0 || !ctx.is_training() {
            return Ok(codes.shallow_clone());
        }
        let (shape, kind, device) = (codes.size(), codes.kind(), codes.device());
        let uniform = match shape.len() {
            3 => ctx.uniform_per_example(&self.name, &shape, kind, device)?,
            _ => ctx.uniform(&self.name, &shape, kind, device)?,
        };
        let size = codes.detach().abs() * self.share;
        let noise = uniform * 2.0 * &size - size;
        let Some((_, tape)) = ctx.fused(kind, device) else {
            return Ok(codes + noise);
        };
        let disturbed = tch::no_grad(|| codes + noise);
        let same = |gradients: &[Tensor]| Ok(vec![gradients[0].shallow_clone()]);
        let mut leaves = tape.recompute_node(vec![codes.shallow_clone()], vec![disturbed], same)?;
        Ok(leaves.swap_remove(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::RecordedNoise;
    use crate::params::ParamStore;
    use tch::{Device, Kind};

    #[test]
    fn noise_is_bounded_spares_zero_and_passes_the_gradient_of_the_code() {
        let mut store = ParamStore::new(Device::Cpu, Kind::Double, 0);
        let noise = CodeNoise::new(&mut store.root(), "x", 0.1).unwrap();
        let codes = Tensor::from_slice(&[2.0_f64, -1.0, 0.0]).view([1, 3]);
        let codes = codes.set_requires_grad(true);
        let draws = Tensor::from_slice(&[0.0_f64, 0.75, 0.3]).view([1, 3]);
        let mut recorded = RecordedNoise::new([draws]);
        let disturbed = noise
            .forward(&codes, &mut ForwardContext::training(&mut recorded))
            .unwrap();
        let values = Vec::<f64>::try_from(disturbed.detach().view([3])).unwrap();
        for (value, expected) in values.iter().zip([1.8, -0.95, 0.0]) {
            assert!((value - expected).abs() < 1e-12, "{values:?}");
        }
        disturbed.sum(Kind::Double).backward();
        assert_eq!(
            codes.grad(),
            Tensor::ones([1, 3], (Kind::Double, Device::Cpu))
        );
        let ctx = &mut ForwardContext::evaluation();
        assert_eq!(noise.forward(&codes, ctx).unwrap(), codes);
        assert!(CodeNoise::new(&mut store.root(), "x", -0.1).is_err());
    }
}
