//! ConvNeXt block: depth-wise convolution on whole channels, the rest on blocks of cells.

use super::depthwise::{Depthwise, REACH, SIDE, padded_size, padded_width};
use super::map::Map;
use crate::backend::Backend;
use crate::blocks::Layout;
use crate::error::Result;
use crate::layer::{Modulation, Norm, Projection, Target};
use crate::scratch::Scratch;
use crate::simd::{Row, WIDTH};
use crate::thread_pool::Workers;
use crate::weights::WeightScope;

/// Of every layer norm of a ConvNeXt.
pub(super) const EPSILON: f32 = 1e-6;

/// Depth-wise convolution, layer norm, two projections with GELU between, layer scale, residual.
#[derive(Debug, Clone)]
pub(super) struct Block {
    kernel: Vec<f32>,
    bias: Vec<f32>,
    norm: Norm,
    expand: Projection,
    pub(super) contract: Projection,
    gamma: Vec<f32>,
}

impl Block {
    pub(super) fn load(
        scope: &WeightScope<'_, '_>,
        channels: usize,
        backend: &Backend,
    ) -> Result<Self> {
        let depthwise = scope.sub("dwconv");
        let (narrow, wide) = (Layout::plain(channels), Layout::plain(4 * channels));
        let plain = |name: &str, layouts| {
            Projection::plain(
                &scope.sub(name),
                layouts,
                true,
                backend.precision.without_int8(),
            )
        };
        let mut gamma = scope.tensor("gamma", &[channels])?.to_vec();
        gamma.resize(narrow.rows(), 0.0);
        Ok(Self {
            kernel: depthwise
                .tensor("weight", &[channels, 1, SIDE, SIDE])?
                .to_vec(),
            bias: depthwise.tensor("bias", &[channels])?.to_vec(),
            norm: Norm::with_epsilon(&scope.sub("norm"), channels, EPSILON)?,
            expand: plain("pwconv1", (narrow, wide))?,
            contract: plain("pwconv2", (wide, narrow))?,
            gamma,
        })
    }

    pub(super) fn run(
        &self,
        workers: &Workers<'_>,
        map: Map,
        blocks: &mut [Row],
        planes: &mut Vec<f32>,
    ) {
        let (cells, rows, backend) = (map.cells(), map.rows(), workers.backend);
        planes.resize(map.channels * cells, 0.0);
        let before = &*blocks;
        workers.each(planes, cells, |channel, plane, scratch| {
            self.convolve(backend, map, before, channel, plane, scratch);
        });
        let planes = &*planes;
        workers.each(blocks, rows, |block, states, scratch| {
            let first = block * WIDTH;
            let count = (cells - first).min(WIDTH);
            let local = &mut scratch.message[..rows];
            local.fill(Row::ZERO);
            for (row, plane) in local.iter_mut().zip(planes.chunks_exact(cells)) {
                row.0[..count].copy_from_slice(&plane[first..first + count]);
            }
            self.norm.apply(backend, local, &mut scratch.normal);
            let normal = &scratch.normal[..rows];
            let none = Modulation::default();
            let hidden = &mut scratch.hidden[..self.contract.input_rows()];
            let operand = &mut scratch.operand;
            (self.expand).activate(backend, &none, 0, normal, operand, (hidden, false));
            let target = Target {
                y: states,
                stride: rows,
                gamma: Some(&self.gamma),
                add: true,
            };
            self.contract
                .apply(backend, &none, 0, hidden, operand, target);
        });
    }

    /// The depth-wise convolution of one channel.
    fn convolve(
        &self,
        backend: &Backend,
        map: Map,
        blocks: &[Row],
        channel: usize,
        plane: &mut [f32],
        scratch: &mut Scratch,
    ) {
        let size = padded_size(map.height, map.width);
        let padded: &mut [f32] = bytemuck::cast_slice_mut(&mut scratch.hidden);
        let padded = &mut padded[..size];
        padded.fill(0.0);
        let (stride, rows) = (padded_width(map.width), map.rows());
        for y in 0..map.height {
            let row = &mut padded[(y + REACH) * stride + REACH..][..map.width];
            for (x, cell) in row.iter_mut().enumerate() {
                let index = y * map.width + x;
                *cell = blocks[index / WIDTH * rows + channel].0[index % WIDTH];
            }
        }
        backend.arch.dispatch(Depthwise {
            x: padded,
            kernel: &self.kernel[channel * SIDE * SIDE..][..SIDE * SIDE],
            bias: self.bias[channel],
            y: plane,
            width: map.width,
        });
    }
}
