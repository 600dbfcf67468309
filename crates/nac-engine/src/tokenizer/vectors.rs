//! Vectors, or Fourier features of points, through a linear layer; a learned vector for each position beside them.

use std::f32::consts::PI;
use std::ops::Range;

use ndarray::{Array2, ArrayView1, ArrayView3, Axis};

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
use nac_core::model::spec::VectorsSpec;

/// Tensors `linear.weight`, `linear.bias`, and `positions`, `[items, position_dim]`.
#[derive(Debug, Clone)]
pub(super) struct Vectors {
    spec: VectorsSpec,
    linear: Projection,
    positions: Option<Array2<f32>>,
}

impl Vectors {
    pub(super) fn load(
        scope: &WeightScope<'_, '_>,
        spec: &VectorsSpec,
        backend: &Backend,
    ) -> Result<Self> {
        let layouts = (
            Layout::plain(spec.linear.input),
            Layout::plain(spec.linear.output),
        );
        let precision = backend.precision.without_int8();
        let linear = Projection::linear(scope, &spec.linear, layouts, precision)?;
        let size = [spec.items, spec.position_dim];
        Ok(Self {
            spec: spec.clone(),
            linear,
            positions: positions::load(&scope.sub(&spec.path), size)?,
        })
    }

    pub(super) fn token_dim(&self) -> usize {
        self.spec.token_dim()
    }

    pub(super) fn scratch_size(&self) -> ScratchSize {
        let rows = self.linear.input_rows();
        ScratchSize {
            operand: rows,
            message: rows,
            ..ScratchSize::default()
        }
    }

    /// Tokens of some examples; whether the mask counts.
    pub(super) fn run(
        &self,
        workers: &Workers<'_>,
        vectors: &ArrayView3<'_, f32>,
        examples: Range<usize>,
        buffers: &mut Buffers,
    ) -> bool {
        let count = vectors.dim().1;
        if self.spec.padded {
            buffers.mask.clear();
            let there = |item: ArrayView1<'_, f32>| !item.iter().all(|x| x.is_nan());
            for example in examples.clone() {
                let items = vectors.index_axis(Axis(0), example);
                buffers.mask.extend(items.outer_iter().map(there));
            }
        }
        let rows = Layout::plain(self.token_dim()).rows();
        let blocks = count.div_ceil(WIDTH);
        resize(&mut buffers.tokens, examples.len() * blocks * rows);
        let depth = self.linear.input_rows();
        let mask = if self.spec.padded {
            &buffers.mask[..]
        } else {
            &[]
        };
        workers.each(&mut buffers.tokens, rows, |index, y, scratch| {
            let (example, first) = (examples.start + index / blocks, index % blocks * WIDTH);
            let items = first..count.min(first + WIDTH);
            let x = &mut scratch.message[..depth];
            x.fill(Row::ZERO);
            let before = (example - examples.start) * count;
            let there = |item: &usize| mask.get(before + item).is_none_or(|there| *there);
            for item in items.clone().filter(there) {
                for coordinate in 0..self.spec.dim {
                    let value = vectors[[example, item, coordinate]];
                    self.lift(value, coordinate, |row, value| {
                        x[row].0[item - first] = value
                    });
                }
            }
            let target = Target::overwrite(y, rows);
            let (buffer, none) = (&mut scratch.operand, Modulation::default());
            self.linear
                .apply(workers.backend, &none, 0, x, buffer, target);
            if let Some(positions) = &self.positions {
                positions::write(positions, items, &mut y[self.spec.linear.output..]);
            }
        });
        self.spec.padded
    }

    /// `write(row, value)` for the coordinate and its Fourier features.
    fn lift(&self, value: f32, coordinate: usize, mut write: impl FnMut(usize, f32)) {
        let dim = self.spec.dim;
        write(coordinate, value);
        for band in 0..self.spec.bands {
            let angle = value * (2_f32.powi(band as i32) * PI);
            write((1 + 2 * band) * dim + coordinate, angle.sin());
            write((2 + 2 * band) * dim + coordinate, angle.cos());
        }
    }
}
