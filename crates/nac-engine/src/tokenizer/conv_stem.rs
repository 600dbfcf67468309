//! Convolutional stem: whitening, 3×3 convolutions with max pooling, layer norm and GELU, and a positional grid.
//!
//! The input of a convolution lies in planes with zeros around them, one for each channel, so that unfolding its patches
//! copies runs of neighbouring cells; its output lies in blocks of 32 cells, which the product writes.

use std::ops::Range;

use ndarray::{ArrayView3, ArrayView4, Axis};

use super::buffers::InputBuffers;
use super::conv_layer::ConvLayer;
use super::grid;
use super::map::Map;
use crate::backend::Backend;
use crate::blocks::{Layout, resize};
use crate::circuit::Buffers;
use crate::error::Result;
use crate::scratch::ScratchSize;
use crate::simd::{Row, WIDTH};
use crate::thread_pool::Workers;
use crate::weights::WeightScope;
use nac_core::model::spec::ConvStemSpec;

/// Tensors under `whitening`, `stages` and `positional_grid`.
#[derive(Debug, Clone)]
pub(super) struct ConvStem {
    layers: Vec<ConvLayer>,
    /// `[grid_dim]` planes of the token map's size.
    grid: Vec<Vec<f32>>,
    output: Map,
}

impl ConvStem {
    pub(super) fn load(
        scope: &WeightScope<'_, '_>,
        spec: &ConvStemSpec,
        backend: &Backend,
    ) -> Result<Self> {
        let [height, width] = spec.image;
        let mut output = Map {
            channels: spec.channels,
            height,
            width,
        };
        let mut layers = Vec::with_capacity(1 + spec.stages.len());
        if let Some(whitening) = &spec.whitening {
            layers.push(ConvLayer::whitening(scope, whitening, output, backend)?);
        }
        for stage in &spec.stages {
            output = layers.last().map_or(output, |layer| layer.output);
            layers.push(ConvLayer::stage(scope, stage, output, backend)?);
        }
        output = layers.last().map_or(output, |layer| layer.output);
        let grid = spec.grid.as_ref().map(|grid| {
            let (scope, [rows, columns]) = (scope.sub(&grid.path), grid.size);
            grid::planes(
                &scope,
                grid.dim,
                (rows, columns),
                (output.height, output.width),
            )
        });
        Ok(Self {
            layers,
            grid: grid.transpose()?.unwrap_or_default(),
            output,
        })
    }

    pub(super) fn tokens(&self) -> usize {
        self.output.cells()
    }

    pub(super) fn scratch_size(&self) -> ScratchSize {
        let sizes = self.layers.iter().map(ConvLayer::scratch_size);
        sizes.fold(ScratchSize::default(), ScratchSize::max)
    }

    /// Tokens of some examples, `[examples][blocks][rows]`.
    pub(super) fn run(
        &self,
        workers: &Workers<'_>,
        images: &ArrayView4<'_, f32>,
        examples: Range<usize>,
        buffers: &mut Buffers,
        own: &mut InputBuffers,
    ) {
        let output = self.output;
        let rows = Layout::plain(output.channels + self.grid.len()).rows();
        let blocks = output.cells().div_ceil(WIDTH);
        resize(&mut buffers.tokens, examples.len() * blocks * rows);
        let tokens = buffers.tokens.chunks_exact_mut(blocks * rows);
        for (example, tokens) in examples.zip(tokens) {
            let InputBuffers { maps, planes, .. } = &mut *own;
            let [now, next] = maps;
            for (index, layer) in self.layers.iter().enumerate() {
                if index == 0 {
                    let image: ArrayView3<'_, f32> = images.index_axis(Axis(0), example);
                    layer.planes_of_image(workers, &image, planes);
                } else {
                    layer.planes_of_map(workers, now, planes);
                }
                layer.run(workers, planes, next);
                std::mem::swap(now, next);
            }
            let map_rows = output.rows();
            for (block, tokens) in tokens.chunks_exact_mut(rows).enumerate() {
                let (map, beside) = tokens.split_at_mut(output.channels);
                map.copy_from_slice(&now[block * map_rows..][..output.channels]);
                beside.fill(Row::ZERO);
                for (row, plane) in beside.iter_mut().zip(&self.grid) {
                    let cells = &plane[block * WIDTH..];
                    let count = cells.len().min(WIDTH);
                    row.0[..count].copy_from_slice(&cells[..count]);
                }
            }
        }
    }
}
