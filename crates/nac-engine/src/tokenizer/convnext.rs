//! The first stages of a ConvNeXt and a positional grid.
//!
//! Maps lie in blocks of 32 positions like everything else; a patch convolution is a product of its unfolded patches,
//! and only the depth-wise convolution works on whole channels. Source: ConvNeXt (arXiv 2201.03545) as reference
//! `tokenizers.py` uses it.

use std::ops::Range;

use ndarray::ArrayView4;

use super::buffers::InputBuffers;
use super::convnext_block::{Block, EPSILON};
use super::depthwise::padded_size;
use super::grid;
use super::map::Map;
use crate::backend::Backend;
use crate::blocks::Layout;
use crate::blocks::resize;
use crate::circuit::Buffers;
use crate::error::Result;
use crate::layer::{Modulation, Norm, Projection, Raw, Target};
use crate::scratch::ScratchSize;
use crate::simd::{Row, WIDTH};
use crate::thread_pool::Workers;
use crate::weights::WeightScope;
use nac_core::model::spec::{ConvNextBlockSpec, ConvNextSpec, ConvNextStageSpec};

/// Tensors under `backbone` and `positional_grid`.
#[derive(Debug, Clone)]
pub(super) struct ConvNext {
    size: (usize, usize, usize),
    stages: Vec<Stage>,
    /// `[grid_dim]` planes of the token map's size.
    grid: Vec<Vec<f32>>,
}

/// A convolution that makes the map smaller, and blocks.
#[derive(Debug, Clone)]
struct Stage {
    norm: Norm,
    norm_first: bool,
    convolution: Projection,
    patch: usize,
    input: Map,
    output: Map,
    blocks: Vec<Block>,
}

impl ConvNext {
    pub(super) fn load(
        scope: &WeightScope<'_, '_>,
        spec: &ConvNextSpec,
        backend: &Backend,
    ) -> Result<Self> {
        let [height, width] = spec.image;
        let mut map = Map {
            channels: spec.channels,
            height,
            width,
        };
        let size = (spec.channels, height, width);
        let mut stages = Vec::with_capacity(spec.stages.len());
        for stage in &spec.stages {
            let stage = Stage::load(scope, stage, map, backend)?;
            map = stage.output;
            stages.push(stage);
        }
        let grid = spec.grid.as_ref().map(|grid| {
            let (scope, [rows, columns]) = (scope.sub(&grid.path), grid.size);
            grid::planes(&scope, grid.dim, (rows, columns), (map.height, map.width))
        });
        let grid = grid.transpose()?.unwrap_or_default();
        Ok(Self { size, stages, grid })
    }

    fn output(&self) -> Map {
        let (channels, height, width) = self.size;
        let whole = Map {
            channels,
            height,
            width,
        };
        self.stages.last().map_or(whole, |stage| stage.output)
    }

    pub(super) fn token_dim(&self) -> usize {
        self.output().channels + self.grid.len()
    }

    pub(super) fn tokens(&self) -> usize {
        self.output().cells()
    }

    pub(super) fn scratch_size(&self) -> ScratchSize {
        let mut size = ScratchSize::default();
        for stage in &self.stages {
            let (input, output) = (stage.input.rows(), stage.output.rows());
            let hidden = stage.blocks.iter().map(|b| b.contract.input_rows()).max();
            let padded = padded_size(stage.output.height, stage.output.width).div_ceil(WIDTH);
            let patch = stage.convolution.input_rows();
            let hidden = hidden.unwrap_or(0).max(padded).max(patch);
            size = size.max(ScratchSize {
                normal: input.max(output),
                operand: hidden.max(output),
                query: 0,
                message: output,
                hidden,
            });
        }
        size
    }

    /// Tokens of some examples, `[examples][blocks][rows]`.
    pub(super) fn run(
        &self,
        workers: &Workers<'_>,
        image: &ArrayView4<'_, f32>,
        examples: Range<usize>,
        buffers: &mut Buffers,
        tokenizer_buffers: &mut InputBuffers,
    ) {
        let output = self.output();
        let rows = Layout::plain(self.token_dim()).rows();
        let blocks = output.cells().div_ceil(WIDTH);
        resize(&mut buffers.tokens, examples.len() * blocks * rows);
        for (index, example) in examples.enumerate() {
            let InputBuffers { maps, planes, .. } = tokenizer_buffers;
            let [now, next] = maps;
            for (layer, stage) in self.stages.iter().enumerate() {
                if layer == 0 {
                    let image = |c: usize, y: usize, x: usize| image[[example, c, y, x]];
                    stage.convolve(workers, &image, next);
                } else {
                    stage.normalize_input(workers, now);
                    let map_rows = stage.input.rows();
                    let width = stage.input.width;
                    let cells = &*now;
                    let cell = |c: usize, y: usize, x: usize| {
                        let cell = y * width + x;
                        cells[cell / WIDTH * map_rows + c].0[cell % WIDTH]
                    };
                    stage.convolve(workers, &cell, next);
                }
                for block in &stage.blocks {
                    block.run(workers, stage.output, next, planes);
                }
                std::mem::swap(now, next);
            }
            let tokens = &mut buffers.tokens[index * blocks * rows..][..blocks * rows];
            let map_rows = output.rows();
            for (block, tokens) in tokens.chunks_exact_mut(rows).enumerate() {
                let (map, grid) = tokens.split_at_mut(output.channels);
                map.copy_from_slice(&now[block * map_rows..][..output.channels]);
                grid.fill(Row::ZERO);
                for (row, plane) in grid.iter_mut().zip(&self.grid) {
                    let cells = &plane[block * WIDTH..];
                    let count = cells.len().min(WIDTH);
                    row.0[..count].copy_from_slice(&cells[..count]);
                }
            }
        }
    }
}

impl Stage {
    fn load(
        scope: &WeightScope<'_, '_>,
        spec: &ConvNextStageSpec,
        input: Map,
        backend: &Backend,
    ) -> Result<Self> {
        let [height, width] = spec.map;
        let output = Map {
            channels: spec.patch.output,
            height,
            width,
        };
        let patch = spec.patch.side;
        let convolution = scope.sub(&spec.patch.path);
        let shape = [output.channels, input.channels, patch, patch];
        let raw = Raw {
            weight: convolution.matrix("weight", &shape)?,
            bias: Some(convolution.tensor("bias", &[output.channels])?),
        };
        let unfolded = Layout::plain(input.channels * patch * patch);
        let layouts = (unfolded, Layout::plain(output.channels));
        let block =
            |spec: &ConvNextBlockSpec| Block::load(&scope.sub(&spec.path), spec.channels, backend);
        Ok(Self {
            norm: Norm::with_epsilon(&scope.sub(&spec.norm.path), spec.norm.dim, EPSILON)?,
            norm_first: spec.norm_first,
            convolution: Projection::of(&raw, layouts, backend.precision.without_int8()),
            patch,
            input,
            output,
            blocks: spec.blocks.iter().map(block).collect::<Result<_>>()?,
        })
    }

    /// Layer norm of every cell of the input, in place.
    fn normalize_input(&self, workers: &Workers<'_>, map: &mut [Row]) {
        if !self.norm_first {
            return;
        }
        let rows = self.input.rows();
        workers.each(
            &mut map[..self.input.all_rows()],
            rows,
            |_, block, scratch| {
                self.norm.apply(workers.backend, block, &mut scratch.normal);
                block.copy_from_slice(&scratch.normal[..rows]);
            },
        );
    }

    /// The convolution, and the layer norm if it comes after.
    fn convolve(
        &self,
        workers: &Workers<'_>,
        cell: &(impl Fn(usize, usize, usize) -> f32 + Sync),
        output: &mut Vec<Row>,
    ) {
        resize(output, self.output.all_rows());
        let (patch, rows) = (self.patch, self.output.rows());
        let unfolded = self.convolution.input_rows();
        workers.each(output, rows, |block, y, scratch| {
            let x = &mut scratch.hidden[..unfolded];
            x.fill(Row::ZERO);
            let cells = block * WIDTH..self.output.cells().min((block + 1) * WIDTH);
            for (lane, index) in cells.enumerate() {
                let (top, left) = (
                    index / self.output.width * patch,
                    index % self.output.width * patch,
                );
                let mut rows = x.iter_mut();
                for channel in 0..self.input.channels {
                    for down in 0..patch {
                        for (right, row) in rows.by_ref().take(patch).enumerate() {
                            row.0[lane] = cell(channel, top + down, left + right);
                        }
                    }
                }
            }
            let none = Modulation::default();
            let operand = &mut scratch.operand;
            let target = Target::overwrite(y, rows);
            self.convolution
                .apply(workers.backend, &none, 0, x, operand, target);
            if !self.norm_first {
                self.norm.apply(workers.backend, y, &mut scratch.normal);
                y.copy_from_slice(&scratch.normal[..rows]);
            }
        });
    }
}
