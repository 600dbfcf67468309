//! The first stages of a ConvNeXt and a positional grid.
//!
//! Maps lie in blocks of 32 positions like everything else; a patch convolution is a product of its unfolded patches,
//! and only the depth-wise convolution works on whole channels. Source: ConvNeXt (arXiv 2201.03545) as reference
//! `tokenizers.py` uses it.

use std::ops::Range;

use ndarray::ArrayView4;

use super::TokenizerBuffers;
use super::convnext_block::Block;
use super::depthwise::padded_size;
use super::grid;
use crate::blocks::Layout;
use crate::circuit::plan::{Buffers, fit};
use crate::error::Result;
use crate::layer::{Modulation, Norm, Projection, Target, Tools};
use crate::simd::{Row, WIDTH};
use crate::team::{Desks, Room, Team};
use crate::weights::Scope;
use nac_core::model::ConvNextConfig;

pub(super) const EPSILON: f32 = 1e-6;

/// Tensors under `backbone` and `positional_grid`.
#[derive(Debug, Clone)]
pub(crate) struct ConvNext {
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

/// Size of a map.
#[derive(Debug, Clone, Copy)]
pub(super) struct Map {
    pub(super) channels: usize,
    pub(super) height: usize,
    pub(super) width: usize,
}

impl Map {
    pub(super) fn cells(self) -> usize {
        self.height * self.width
    }

    pub(super) fn rows(self) -> usize {
        Layout::plain(self.channels).rows()
    }

    /// Rows of all blocks.
    fn all_rows(self) -> usize {
        self.cells().div_ceil(WIDTH) * self.rows()
    }
}

impl ConvNext {
    pub(crate) fn load(
        scope: &Scope<'_, '_>,
        size: (usize, usize, usize),
        config: &ConvNextConfig,
        tools: &Tools,
    ) -> Result<Self> {
        let (channels, height, width) = size;
        let stride = config.stride(height, width)?;
        let backbone = scope.sub("backbone");
        let mut input = Map {
            channels,
            height,
            width,
        };
        let mut stages = Vec::with_capacity(config.dims.len());
        for (index, (&dim, &depth)) in config.dims.iter().zip(&config.depths).enumerate() {
            let patch = if index > 0 { 2 } else { config.stem_patch };
            let output = Map {
                channels: dim,
                height: input.height / patch,
                width: input.width / patch,
            };
            stages.push(stage(
                &backbone,
                index,
                depth,
                (input, output),
                patch,
                tools,
            )?);
            input = output;
        }
        let [rows, columns] = config
            .grid_size
            .unwrap_or([height / stride, width / stride]);
        let grid = if config.grid_dim == 0 {
            Vec::new()
        } else {
            let (scope, from) = (scope.sub("positional_grid"), (rows, columns));
            grid::planes(&scope, config.grid_dim, from, (input.height, input.width))?
        };
        Ok(Self { size, stages, grid })
    }

    pub(crate) fn size(&self) -> (usize, usize, usize) {
        self.size
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

    pub(crate) fn token_dim(&self) -> usize {
        self.output().channels + self.grid.len()
    }

    pub(crate) fn tokens(&self) -> usize {
        self.output().cells()
    }

    pub(crate) fn room(&self) -> Room {
        let mut room = Room::default();
        for stage in &self.stages {
            let (input, output) = (stage.input.rows(), stage.output.rows());
            let hidden = stage.blocks.iter().map(|b| b.contract.input_rows()).max();
            let padded = padded_size(stage.output.height, stage.output.width).div_ceil(WIDTH);
            let patch = stage.convolution.input_rows();
            let hidden = hidden.unwrap_or(0).max(padded).max(patch);
            room = room.or(Room {
                normal: input.max(output),
                operand: hidden.max(output),
                query: 0,
                message: output,
                hidden,
            });
        }
        room
    }

    /// Tokens of some examples, `[examples][blocks][rows]`.
    #[allow(clippy::too_many_arguments, reason = "a run has that many parts")]
    pub(crate) fn run(
        &self,
        tools: &Tools,
        team: &Team,
        desks: &Desks,
        image: &ArrayView4<'_, f32>,
        examples: Range<usize>,
        buffers: &mut Buffers,
        room: &mut TokenizerBuffers,
    ) {
        let output = self.output();
        let rows = Layout::plain(self.token_dim()).rows();
        let blocks = output.cells().div_ceil(WIDTH);
        fit(&mut buffers.tokens, examples.len() * blocks * rows);
        for (place, example) in examples.enumerate() {
            let TokenizerBuffers { maps, planes } = room;
            let [now, next] = maps;
            for (index, stage) in self.stages.iter().enumerate() {
                if index == 0 {
                    let image = |c: usize, y: usize, x: usize| image[[example, c, y, x]];
                    stage.convolve(tools, team, desks, &image, next);
                } else {
                    stage.normalise_input(tools, team, desks, now);
                    let map_rows = stage.input.rows();
                    let width = stage.input.width;
                    let cells = &*now;
                    let cell = |c: usize, y: usize, x: usize| {
                        let place = y * width + x;
                        cells[place / WIDTH * map_rows + c].0[place % WIDTH]
                    };
                    stage.convolve(tools, team, desks, &cell, next);
                }
                for block in &stage.blocks {
                    block.run(tools, team, desks, stage.output, next, planes);
                }
                std::mem::swap(now, next);
            }
            let tokens = &mut buffers.tokens[place * blocks * rows..][..blocks * rows];
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

fn stage(
    backbone: &Scope<'_, '_>,
    index: usize,
    depth: usize,
    (input, output): (Map, Map),
    patch: usize,
    tools: &Tools,
) -> Result<Stage> {
    let norm_first = index > 0;
    let (conv_at, norm_at) = if norm_first { (1, 0) } else { (0, 1) };
    let scope = backbone.sub(format!("downsample_layers.{index}"));
    let normed = if norm_first { input } else { output };
    let convolution = scope.sub(conv_at);
    let shape = [output.channels, input.channels, patch, patch];
    let weight = convolution.tensor("weight", &shape)?;
    let bias = convolution.tensor("bias", &[output.channels])?;
    let unfolded = Layout::plain(input.channels * patch * patch);
    let layouts = (unfolded, Layout::plain(output.channels));
    Ok(Stage {
        norm: Norm::with_epsilon(&scope.sub(norm_at), normed.channels, EPSILON)?,
        norm_first,
        convolution: Projection::of(&weight, Some(&bias), layouts, tools.precision.at_the_ends()),
        patch,
        input,
        output,
        blocks: (0..depth)
            .map(|block| {
                let scope = backbone.sub(format!("stages.{index}.{block}"));
                Block::load(&scope, output.channels, tools)
            })
            .collect::<Result<_>>()?,
    })
}

impl Stage {
    /// Layer norm of every cell of the input, in place.
    fn normalise_input(&self, tools: &Tools, team: &Team, desks: &Desks, map: &mut [Row]) {
        if !self.norm_first {
            return;
        }
        let rows = self.input.rows();
        team.each(
            &mut map[..self.input.all_rows()],
            rows,
            desks,
            |_, block, scratch| {
                self.norm.apply(tools, block, &mut scratch.normal);
                block.copy_from_slice(&scratch.normal[..rows]);
            },
        );
    }

    /// The convolution, and the layer norm if it comes after.
    fn convolve(
        &self,
        tools: &Tools,
        team: &Team,
        desks: &Desks,
        cell: &(impl Fn(usize, usize, usize) -> f32 + Sync),
        output: &mut Vec<Row>,
    ) {
        fit(output, self.output.all_rows());
        let (patch, rows) = (self.patch, self.output.rows());
        let unfolded = self.convolution.input_rows();
        team.each(output, rows, desks, |block, y, scratch| {
            let x = &mut scratch.hidden[..unfolded];
            x.fill(Row::ZERO);
            let cells = block * WIDTH..self.output.cells().min((block + 1) * WIDTH);
            for (lane, place) in cells.enumerate() {
                let (top, left) = (
                    place / self.output.width * patch,
                    place % self.output.width * patch,
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
            let room = &mut scratch.operand;
            let target = Target::overwrite(y, rows);
            self.convolution.apply(tools, &none, 0, x, room, target);
            if !self.norm_first {
                self.norm.apply(tools, y, &mut scratch.normal);
                y.copy_from_slice(&scratch.normal[..rows]);
            }
        });
    }
}
