//! The same layers on plain arrays, for what is computed once when a model is loaded.

use ndarray::{Array1, Array2, ArrayView2, Axis};

use super::{Norm, Projection};
use crate::engine::layer::projection::Raw;

impl Norm {
    /// Layer norm of each line of `x`, `[items, features]`.
    pub(crate) fn lines(&self, x: ArrayView2<'_, f32>) -> Array2<f32> {
        let (gain, bias, epsilon) = self.parts();
        let mut y = x.to_owned();
        for mut row in y.axis_iter_mut(Axis(0)) {
            let count = row.len() as f32;
            let mean = row.sum() / count;
            let variance = row.iter().map(|x| (x - mean) * (x - mean)).sum::<f32>() / count;
            let scale = 1.0 / (variance + epsilon).sqrt();
            for ((x, gain), bias) in row.iter_mut().zip(gain).zip(bias) {
                *x = (*x - mean) * scale * gain + bias;
            }
        }
        y
    }
}

impl Projection {
    /// The projection of each line of `x`, `[items, in]`, with the codes of the items, `[items, code]`.
    pub(crate) fn lines(
        &self,
        raw: &Raw<'_>,
        x: ArrayView2<'_, f32>,
        codes: ArrayView2<'_, f32>,
    ) -> Array2<f32> {
        let (input, output) = self.factors(codes);
        let scaled = match input {
            Some(factor) => &x * &factor,
            None => x.to_owned(),
        };
        let mut y = scaled.dot(&matrix(&raw.weight, x.ncols()).t());
        if let Some(factor) = output {
            y *= &factor;
        }
        if let Some(bias) = &raw.bias {
            y += &Array1::from(bias.to_vec());
        }
        y
    }
}

/// `values` as lines of `columns`.
pub(crate) fn matrix(values: &[f32], columns: usize) -> Array2<f32> {
    let rows = values.len().checked_div(columns).unwrap_or(0);
    Array2::from_shape_fn((rows, columns), |(i, j)| values[i * columns + j])
}
