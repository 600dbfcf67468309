//! Learned grid of positions for image tokens.

use tch::Tensor;

use crate::error::Result;
use crate::params::{Init, Scope};
use crate::shape;

/// A learned vector for each cell of a grid. Parameter `grid`, `[dim, height, width]`.
///
/// The reference ignores the size that is asked for and fails on other image sizes;
/// here the grid is interpolated bilinearly when a map has another size.
#[derive(Debug)]
pub struct PositionalGrid {
    grid: Tensor,
}

impl PositionalGrid {
    /// A grid of `height × width` cells, starting from a normal distribution.
    ///
    /// # Errors
    /// A size is zero or the name is taken.
    pub fn new(mut scope: Scope<'_>, dim: usize, height: usize, width: usize) -> Result<Self> {
        let size = [
            shape::positive("dim", dim)?,
            shape::positive("height", height)?,
            shape::positive("width", width)?,
        ];
        Ok(Self {
            grid: scope.parameter("grid", &size, Init::Normal { std: 1.0 })?,
        })
    }

    /// The grid at a size, repeated over the batch.
    ///
    /// # Shapes
    /// - output: `[batch, dim, height, width]`
    ///
    /// # Errors
    /// A size is not positive.
    pub fn forward(&self, batch: i64, height: i64, width: i64) -> Result<Tensor> {
        let grid = self.grid.unsqueeze(0);
        let size = self.grid.size();
        let grid = if (size[1], size[2]) == (height, width) {
            grid
        } else {
            grid.f_upsample_bilinear2d([height, width], false, None, None)?
        };
        Ok(grid.f_expand([batch, -1, -1, -1], false)?)
    }
}
