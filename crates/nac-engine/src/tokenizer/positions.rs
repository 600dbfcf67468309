//! Learned vectors of positions, beside the features of tokens.

use std::ops::Range;

use ndarray::Array2;

use crate::error::Result;
use crate::simd::{Row, WIDTH};
use crate::weights::WeightScope;

/// Tensor `positions`, `[positions, features]`; none without features.
pub(super) fn load(scope: &WeightScope<'_, '_>, size: [usize; 2]) -> Result<Option<Array2<f32>>> {
    let positions = (size[1] > 0).then(|| scope.matrix("positions", &size));
    Ok(positions.transpose()?.map(|matrix| matrix.into_owned()))
}

/// Writes the vectors of some tokens of a block into `beside`, the rows after the features.
pub(super) fn write(positions: &Array2<f32>, tokens: Range<usize>, beside: &mut [Row]) {
    for token in tokens {
        for (row, feature) in beside.iter_mut().zip(positions.row(token)) {
            row.0[token % WIDTH] = *feature;
        }
    }
}
