//! Vectors, or Fourier features of points, through a linear layer; a learned vector for each position beside them.

use std::f32::consts::PI;
use std::ops::Range;

use ndarray::{Array2, ArrayView3};

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
        let positions = (spec.position_dim > 0)
            .then(|| {
                scope
                    .sub(&spec.path)
                    .matrix("positions", &[spec.items, spec.position_dim])
            })
            .transpose()?;
        Ok(Self {
            spec: spec.clone(),
            linear,
            positions: positions.map(|positions| positions.into_owned()),
        })
    }

    pub(super) fn token_dim(&self) -> usize {
        self.spec.token_dim()
    }

    pub(super) fn tokens(&self) -> usize {
        self.spec.items
    }

    pub(super) fn scratch_size(&self) -> ScratchSize {
        let rows = self.linear.input_rows();
        ScratchSize {
            operand: rows,
            message: rows,
            ..ScratchSize::default()
        }
    }

    pub(super) fn run(
        &self,
        workers: &Workers<'_>,
        vectors: &ArrayView3<'_, f32>,
        examples: Range<usize>,
        buffers: &mut Buffers,
    ) {
        let rows = Layout::plain(self.token_dim()).rows();
        let blocks = self.tokens().div_ceil(WIDTH);
        resize(&mut buffers.tokens, examples.len() * blocks * rows);
        let depth = self.linear.input_rows();
        workers.each(&mut buffers.tokens, rows, |index, y, scratch| {
            let (example, first) = (examples.start + index / blocks, index % blocks * WIDTH);
            let items = first..self.tokens().min(first + WIDTH);
            let x = &mut scratch.message[..depth];
            x.fill(Row::ZERO);
            for item in items.clone() {
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
            let Some(positions) = &self.positions else {
                return;
            };
            for item in items {
                let beside = &mut y[self.spec.linear.output..];
                for (row, feature) in beside.iter_mut().zip(positions.row(item)) {
                    row.0[item - first] = *feature;
                }
            }
        });
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
