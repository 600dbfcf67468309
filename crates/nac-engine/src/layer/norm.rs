//! Layer norm of each item over its features.

use super::Tools;
use crate::error::Result;
use crate::simd::norm::Normalize;
use crate::simd::{Row, padded};
use crate::weights::Scope;

/// `(x − mean) / sqrt(var + ε) · gain + bias`. Tensors `weight` and `bias`, `[features]`.
#[derive(Debug, Clone)]
pub(crate) struct Norm {
    gain: Vec<f32>,
    bias: Vec<f32>,
    epsilon: f32,
}

impl Norm {
    /// PyTorch's default, used by every layer norm of a circuit.
    pub(crate) const EPSILON: f32 = 1e-5;

    pub(crate) fn load(scope: &Scope<'_, '_>, features: usize) -> Result<Self> {
        Self::with_epsilon(scope, features, Self::EPSILON)
    }

    pub(crate) fn with_epsilon(
        scope: &Scope<'_, '_>,
        features: usize,
        epsilon: f32,
    ) -> Result<Self> {
        Ok(Self {
            gain: scope.tensor("weight", &[features])?.to_vec(),
            bias: scope.tensor("bias", &[features])?.to_vec(),
            epsilon,
        })
    }

    /// Gain, bias and epsilon.
    pub(super) fn parts(&self) -> (&[f32], &[f32], f32) {
        (&self.gain, &self.bias, self.epsilon)
    }

    /// Normalises blocks.
    pub(crate) fn apply(&self, tools: &Tools, x: &[Row], y: &mut [Row]) {
        let rows = padded(self.gain.len());
        for (x, y) in x.chunks_exact(rows).zip(y.chunks_exact_mut(rows)) {
            tools.arch.dispatch(Normalize {
                x,
                y,
                gain: Some(&self.gain),
                bias: Some(&self.bias),
                features: self.gain.len(),
                epsilon: self.epsilon,
            });
        }
    }
}
