//! Layer norm of each item over its features.

use ndarray::{Array2, ArrayView2};

use crate::backend::Backend;
use crate::error::Result;
use crate::simd::norm::Normalize;
use crate::simd::{Row, padded};
use crate::weights::WeightScope;
use nac_core::model::spec::NormSpec;

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

    /// The norm of `spec`.
    pub(crate) fn of(scope: &WeightScope<'_, '_>, spec: &NormSpec) -> Result<Self> {
        Self::with_epsilon(&scope.sub(&spec.path), spec.dim, Self::EPSILON)
    }

    pub(crate) fn with_epsilon(
        scope: &WeightScope<'_, '_>,
        features: usize,
        epsilon: f32,
    ) -> Result<Self> {
        Ok(Self {
            gain: scope.tensor("weight", &[features])?.to_vec(),
            bias: scope.tensor("bias", &[features])?.to_vec(),
            epsilon,
        })
    }

    /// Normalizes blocks.
    pub(crate) fn apply(&self, backend: &Backend, x: &[Row], y: &mut [Row]) {
        let rows = padded(self.gain.len());
        for (x, y) in x.chunks_exact(rows).zip(y.chunks_exact_mut(rows)) {
            backend.arch.dispatch(Normalize {
                x,
                y,
                gain: Some(&self.gain),
                bias: Some(&self.bias),
                features: self.gain.len(),
                epsilon: self.epsilon,
            });
        }
    }
    /// Normalizes items, `[items, features]`.
    pub(crate) fn apply_to_items(&self, x: ArrayView2<'_, f32>) -> Array2<f32> {
        let mut y = x.to_owned();
        for mut row in y.outer_iter_mut() {
            let count = row.len() as f32;
            let mean = row.sum() / count;
            let variance = row.iter().map(|x| (x - mean) * (x - mean)).sum::<f32>() / count;
            let scale = 1.0 / (variance + self.epsilon).sqrt();
            for ((x, gain), bias) in row.iter_mut().zip(&self.gain).zip(&self.bias) {
                *x = (*x - mean) * scale * gain + bias;
            }
        }
        y
    }
}
