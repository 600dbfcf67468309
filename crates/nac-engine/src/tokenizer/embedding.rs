//! A learned vector for each symbol beside a learned vector for each position.

use std::ops::Range;

use ndarray::{Array2, ArrayView2};

use crate::blocks::Layout;
use crate::blocks::resize;
use crate::circuit::Buffers;
use crate::error::{EngineError, Result};
use crate::simd::WIDTH;
use crate::weights::WeightScope;
use nac_core::model::spec::EmbeddingSpec;

/// Tensors `embedding.weight`, `[vocabulary, dim]`, and `positions`, `[max_len, position_dim]`.
#[derive(Debug, Clone)]
pub(super) struct Embedding {
    embedding: Array2<f32>,
    positions: Array2<f32>,
    pad: i64,
}

impl Embedding {
    pub(super) fn load(scope: &WeightScope<'_, '_>, spec: &EmbeddingSpec) -> Result<Self> {
        let scope = scope.sub(&spec.path);
        let size = [spec.vocabulary, spec.dim];
        let embedding = scope.sub("embedding").matrix("weight", &size)?;
        let positions = scope.matrix("positions", &[spec.max_len, spec.position_dim])?;
        Ok(Self {
            embedding: embedding.into_owned(),
            positions: positions.into_owned(),
            pad: spec.pad,
        })
    }

    pub(super) fn token_dim(&self) -> usize {
        self.embedding.ncols() + self.positions.ncols()
    }

    pub(super) fn run(
        &self,
        symbols: &ArrayView2<'_, i64>,
        examples: Range<usize>,
        buffers: &mut Buffers,
    ) -> Result<()> {
        let rows = Layout::plain(self.token_dim()).rows();
        let length = symbols.ncols();
        let blocks = length.div_ceil(WIDTH);
        resize(&mut buffers.tokens, examples.len() * blocks * rows);
        buffers.mask.resize(examples.len() * length, false);
        for (index, example) in examples.enumerate() {
            let tokens = &mut buffers.tokens[index * blocks * rows..][..blocks * rows];
            let mask = &mut buffers.mask[index * length..][..length];
            for (at, (symbol, there)) in symbols.row(example).iter().zip(mask).enumerate() {
                let row = usize::try_from(*symbol).unwrap_or(usize::MAX);
                if row >= self.embedding.nrows() {
                    return Err(EngineError::Input {
                        op: "Engine::infer",
                        expected: format!("symbols in 0..{}", self.embedding.nrows()),
                        found: format!("{symbol} at [{example}, {at}]"),
                    });
                }
                *there = *symbol != self.pad;
                let features = self
                    .embedding
                    .row(row)
                    .into_iter()
                    .chain(self.positions.row(at));
                let block = &mut tokens[at / WIDTH * rows..][..rows];
                for (row, feature) in block.iter_mut().zip(features) {
                    row.0[at % WIDTH] = *feature;
                }
            }
        }
        Ok(())
    }
}
