//! Squares of an image or cubes of voxels through a linear layer; a learned vector for each position beside them.

use std::ops::Range;

use ndarray::{Array2, ArrayView3, ArrayView5};

use super::positions;
use crate::backend::Backend;
use crate::blocks::{Layout, resize};
use crate::circuit::Buffers;
use crate::error::Result;
use crate::layer::{Modulation, Projection, Target};
use crate::scratch::ScratchSize;
use crate::simd::{Row, WIDTH};
use crate::thread_pool::Workers;
use crate::weights::WeightScope;
use nac_core::model::spec::PatchesSpec;

/// Tensors `linear.weight`, `linear.bias`, and `positions`, `[patches, position_dim]`.
#[derive(Debug, Clone)]
pub(super) struct Patches {
    spec: PatchesSpec,
    linear: Projection,
    positions: Option<Array2<f32>>,
}

impl Patches {
    pub(super) fn load(
        scope: &WeightScope<'_, '_>,
        spec: &PatchesSpec,
        backend: &Backend,
    ) -> Result<Self> {
        let layouts = (
            Layout::plain(spec.linear.input),
            Layout::plain(spec.linear.output),
        );
        let precision = backend.precision.without_int8();
        let size = [spec.tokens(), spec.position_dim];
        Ok(Self {
            linear: Projection::linear(scope, &spec.linear, layouts, precision)?,
            positions: positions::load(&scope.sub(&spec.path), size)?,
            spec: spec.clone(),
        })
    }

    pub(super) fn tokens(&self) -> usize {
        self.spec.tokens()
    }

    pub(super) fn scratch_size(&self) -> ScratchSize {
        let rows = self.linear.input_rows();
        ScratchSize {
            operand: rows,
            message: rows,
            ..ScratchSize::default()
        }
    }

    /// Tokens of some examples of `arrays`, `[batch, channels, depth, height, width]`.
    pub(super) fn run(
        &self,
        workers: &Workers<'_>,
        arrays: &ArrayView5<'_, f32>,
        examples: Range<usize>,
        buffers: &mut Buffers,
    ) {
        let rows = Layout::plain(self.spec.token_dim()).rows();
        let blocks = self.tokens().div_ceil(WIDTH);
        resize(&mut buffers.tokens, examples.len() * blocks * rows);
        let depth = self.linear.input_rows();
        workers.each(&mut buffers.tokens, rows, |index, y, scratch| {
            let (example, first) = (examples.start + index / blocks, index % blocks * WIDTH);
            let tokens = first..self.tokens().min(first + WIDTH);
            let x = &mut scratch.message[..depth];
            x.fill(Row::ZERO);
            let array = arrays.index_axis(ndarray::Axis(0), example);
            for channel in 0..self.spec.channels {
                let volume = array.index_axis(ndarray::Axis(0), channel);
                let size: usize = self.spec.side.iter().product();
                let x = &mut x[channel * size..][..size];
                for token in tokens.clone() {
                    self.unfold(&volume, token, x, token - first);
                }
            }
            let target = Target::overwrite(y, rows);
            let (buffer, none) = (&mut scratch.operand, Modulation::default());
            self.linear
                .apply(workers.backend, &none, 0, x, buffer, target);
            if let Some(positions) = &self.positions {
                positions::write(positions, tokens, &mut y[self.spec.linear.output..]);
            }
        });
    }

    /// Writes one channel of a patch into a lane of `x`, which holds zeros.
    fn unfold(&self, volume: &ArrayView3<'_, f32>, token: usize, x: &mut [Row], lane: usize) {
        let ([_, rows, columns], side, size) = (self.spec.map(), self.spec.side, self.spec.size);
        let at = [
            token / (rows * columns),
            token / columns % rows,
            token % columns,
        ];
        let [depths, heights, widths]: [Range<usize>; 3] = std::array::from_fn(|axis| {
            let first = at[axis] * side[axis];
            first..size[axis].min(first + side[axis])
        });
        for (z, plane) in depths.clone().enumerate() {
            for (y, line) in heights.clone().enumerate() {
                let rows = &mut x[(z * side[1] + y) * side[2]..];
                for (row, column) in rows.iter_mut().zip(widths.clone()) {
                    row.0[lane] = volume[[plane, line, column]];
                }
            }
        }
    }
}
