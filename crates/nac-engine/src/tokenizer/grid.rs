//! Positional grid: learned features of each cell of a map, resized to the size of the map.

use crate::error::Result;
use crate::weights::WeightScope;

/// Tensor `grid`, `[dim, rows, columns]`: a plane of `to` (height, width) for each feature.
pub(crate) fn planes(
    scope: &WeightScope<'_, '_>,
    dim: usize,
    (rows, columns): (usize, usize),
    to: (usize, usize),
) -> Result<Vec<Vec<f32>>> {
    let grid = scope.tensor("grid", &[dim, rows, columns])?;
    let planes = grid.chunks_exact(rows * columns);
    Ok(planes
        .map(|plane| resize(plane, (rows, columns), to))
        .collect())
}

/// Bilinear, cell centres at halves, as PyTorch with `align_corners = false`.
fn resize(
    plane: &[f32],
    (rows, columns): (usize, usize),
    (height, width): (usize, usize),
) -> Vec<f32> {
    if (rows, columns) == (height, width) {
        return plane.to_vec();
    }
    let along = |index: usize, from: usize, to: usize| {
        let position = ((index as f32 + 0.5) * from as f32 / to as f32 - 0.5).max(0.0);
        let low = (position as usize).min(from - 1);
        (low, (low + 1).min(from - 1), position - low as f32)
    };
    let mut resized = Vec::with_capacity(height * width);
    for y in 0..height {
        let (top, bottom, down) = along(y, rows, height);
        for x in 0..width {
            let (left, right, across) = along(x, columns, width);
            let row = |y: usize| {
                let (a, b) = (plane[y * columns + left], plane[y * columns + right]);
                a + (b - a) * across
            };
            resized.push(row(top) + (row(bottom) - row(top)) * down);
        }
    }
    resized
}
