//! A convolution from planes to blocks, max pooling, perhaps a layer norm, GELU.

use std::ops::Range;

use ndarray::{ArrayView3, Axis};

use super::convnext_block::EPSILON;
use super::map::Map;
use crate::backend::Backend;
use crate::blocks::{Layout, resize};
use crate::error::Result;
use crate::layer::{Modulation, Norm, Projection, Raw, Target};
use crate::scratch::ScratchSize;
use crate::simd::activation::Gelu;
use crate::simd::{Row, WIDTH};
use crate::thread_pool::Workers;
use crate::weights::WeightScope;
use nac_core::model::spec::{ConvStageSpec, WhiteningSpec};

/// A square convolution with zeros around its input, and what follows it.
#[derive(Debug, Clone)]
pub(super) struct ConvLayer {
    convolution: Projection,
    norm: Option<Norm>,
    side: usize,
    stride: usize,
    pool: usize,
    input: Map,
    convolved: Map,
    pub(super) output: Map,
}

impl ConvLayer {
    /// The fixed first convolution, with neither pooling nor norm.
    pub(super) fn whitening(
        scope: &WeightScope<'_, '_>,
        spec: &WhiteningSpec,
        input: Map,
        backend: &Backend,
    ) -> Result<Self> {
        let output = Map {
            channels: spec.output,
            ..input
        };
        let maps = [input, output];
        Ok(Self {
            convolution: projection(&scope.sub(&spec.path), maps, spec.side, backend)?,
            norm: None,
            side: spec.side,
            stride: 1,
            pool: 1,
            input,
            convolved: output,
            output,
        })
    }

    pub(super) fn stage(
        scope: &WeightScope<'_, '_>,
        spec: &ConvStageSpec,
        input: Map,
        backend: &Backend,
    ) -> Result<Self> {
        let [convolved, output] = [spec.convolved, spec.map].map(|[height, width]| Map {
            channels: spec.output,
            height,
            width,
        });
        let (side, maps) = (ConvStageSpec::SIDE, [input, convolved]);
        let norm = Norm::with_epsilon(&scope.sub(&spec.norm.path), spec.norm.dim, EPSILON)?;
        Ok(Self {
            convolution: projection(&scope.sub(&spec.path).sub("conv"), maps, side, backend)?,
            norm: Some(norm),
            side,
            stride: spec.stride,
            pool: spec.pool,
            input,
            convolved,
            output,
        })
    }

    pub(super) fn scratch_size(&self) -> ScratchSize {
        let unfolded = self.convolution.input_rows();
        ScratchSize {
            normal: self.output.rows(),
            operand: unfolded,
            hidden: unfolded,
            ..ScratchSize::default()
        }
    }

    /// Columns of a plane with zeros around it.
    fn plane_width(&self) -> usize {
        self.input.width + self.side - 1
    }

    /// Numbers of a plane with zeros around it.
    fn plane_size(&self) -> usize {
        self.plane_width() * (self.input.height + self.side - 1)
    }

    /// Fills the planes of the input; `line(channel, y, to)` writes a line of a channel.
    fn planes(
        &self,
        workers: &Workers<'_>,
        planes: &mut Vec<f32>,
        line: impl Fn(usize, usize, &mut [f32]) + Sync,
    ) {
        let (size, width, before) = (self.plane_size(), self.plane_width(), (self.side - 1) / 2);
        planes.resize(self.input.channels * size, 0.0);
        workers.each(planes, size, |channel, plane, _| {
            plane.fill(0.0);
            for y in 0..self.input.height {
                let to = &mut plane[(y + before) * width + before..][..self.input.width];
                line(channel, y, to);
            }
        });
    }

    /// The planes of an image, `[channels, height, width]`.
    pub(super) fn planes_of_image(
        &self,
        workers: &Workers<'_>,
        image: &ArrayView3<'_, f32>,
        planes: &mut Vec<f32>,
    ) {
        self.planes(workers, planes, |channel, y, to| {
            let plane = image.index_axis(Axis(0), channel);
            let line = plane.index_axis(Axis(0), y);
            to.iter_mut().zip(line).for_each(|(to, from)| *to = *from);
        });
    }

    /// The planes of a map in blocks.
    pub(super) fn planes_of_map(&self, workers: &Workers<'_>, map: &[Row], planes: &mut Vec<f32>) {
        let rows = self.input.rows();
        self.planes(workers, planes, |channel, y, to| {
            let mut cell = y * self.input.width;
            let mut rest = to;
            while !rest.is_empty() {
                let (block, lane) = (cell / WIDTH, cell % WIDTH);
                let count = rest.len().min(WIDTH - lane);
                let (now, later) = rest.split_at_mut(count);
                now.copy_from_slice(&map[block * rows + channel].0[lane..lane + count]);
                (rest, cell) = (later, cell + count);
            }
        });
    }

    /// From the planes of the input to the output in blocks. The planes are overwritten.
    pub(super) fn run(&self, workers: &Workers<'_>, planes: &mut Vec<f32>, map: &mut Vec<Row>) {
        self.convolve(workers, planes, map);
        let pooled = self.pool > 1;
        if pooled {
            self.pool(workers, map, planes);
        }
        let (rows, cells) = (self.output.rows(), self.output.cells());
        resize(map, self.output.all_rows());
        let planes = &planes[..];
        workers.each(map, rows, |block, y, scratch| {
            let first = block * WIDTH;
            let count = (cells - first).min(WIDTH);
            if pooled {
                y.fill(Row::ZERO);
                for (row, plane) in y.iter_mut().zip(planes.chunks_exact(cells)) {
                    row.0[..count].copy_from_slice(&plane[first..first + count]);
                }
            }
            if let Some(norm) = &self.norm {
                norm.apply(workers.backend, y, &mut scratch.normal);
                y.copy_from_slice(&scratch.normal[..rows]);
            }
            workers.backend.arch.dispatch(Gelu { rows: y });
        });
    }

    /// The convolution alone, in blocks.
    fn convolve(&self, workers: &Workers<'_>, planes: &[f32], map: &mut Vec<Row>) {
        resize(map, self.convolved.all_rows());
        let (rows, unfolded) = (self.convolved.rows(), self.convolution.input_rows());
        workers.each(map, rows, |block, y, scratch| {
            let x = &mut scratch.hidden[..unfolded];
            let end = self.convolved.cells().min((block + 1) * WIDTH);
            self.unfold(planes, block * WIDTH..end, x);
            let none = Modulation::default();
            let target = Target::overwrite(y, rows);
            self.convolution
                .apply(workers.backend, &none, 0, x, &mut scratch.operand, target);
        });
    }

    /// The patches of some neighbouring cells of the output: a row for each channel and each place in a patch.
    fn unfold(&self, planes: &[f32], cells: Range<usize>, x: &mut [Row]) {
        x.fill(Row::ZERO);
        let (side, stride) = (self.side, self.stride);
        let (size, width) = (self.plane_size(), self.plane_width());
        let mut cell = cells.start;
        while cell < cells.end {
            let (top, left) = (cell / self.convolved.width, cell % self.convolved.width);
            let count = (cells.end - cell).min(self.convolved.width - left);
            let lanes = cell - cells.start..cell - cells.start + count;
            let mut rows = x.iter_mut();
            for plane in planes.chunks_exact(size).take(self.input.channels) {
                for down in 0..side {
                    let line = &plane[(top * stride + down) * width + left * stride..];
                    for (right, row) in rows.by_ref().take(side).enumerate() {
                        let to = &mut row.0[lanes.clone()];
                        if stride == 1 {
                            to.copy_from_slice(&line[right..right + count]);
                            continue;
                        }
                        let from = line[right..].iter().step_by(stride);
                        to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
                    }
                }
            }
            cell += count;
        }
    }

    /// Greatest number of each square of cells, a plane for each channel.
    fn pool(&self, workers: &Workers<'_>, map: &[Row], planes: &mut Vec<f32>) {
        let (rows, cells, side) = (self.convolved.rows(), self.output.cells(), self.pool);
        planes.resize(self.output.channels * cells, 0.0);
        workers.each(planes, cells, |channel, plane, _| {
            for (index, greatest) in plane.iter_mut().enumerate() {
                let (top, left) = (index / self.output.width, index % self.output.width);
                *greatest = f32::NEG_INFINITY;
                for y in top * side..(top + 1) * side {
                    for x in left * side..(left + 1) * side {
                        let cell = y * self.convolved.width + x;
                        let value = map[cell / WIDTH * rows + channel].0[cell % WIDTH];
                        // What is not a number stays so.
                        if value > *greatest || value.is_nan() {
                            *greatest = value;
                        }
                    }
                }
            }
        });
    }
}

/// Tensors `weight`, `[output, input, side, side]`, and `bias`, `[output]`.
fn projection(
    scope: &WeightScope<'_, '_>,
    [input, output]: [Map; 2],
    side: usize,
    backend: &Backend,
) -> Result<Projection> {
    let shape = [output.channels, input.channels, side, side];
    let raw = Raw {
        weight: scope.matrix("weight", &shape)?,
        bias: Some(scope.tensor("bias", &[output.channels])?),
    };
    let unfolded = Layout::plain(input.channels * side * side);
    let layouts = (unfolded, Layout::plain(output.channels));
    let precision = backend.precision.without_int8();
    Ok(Projection::of(&raw, layouts, precision))
}
