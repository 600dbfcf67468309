//! A learned vector for each symbol beside a learned vector for each position.

use std::ops::Range;

use ndarray::{Array2, ArrayView2};

use crate::blocks::Layout;
use crate::circuit::plan::{Buffers, fit};
use crate::error::{EngineError, Result};
use crate::layer::matrix;
use crate::simd::WIDTH;
use crate::weights::Scope;
use nac_core::model::EmbeddingConfig;

/// Tensors `embedding.weight`, `[vocabulary, dim]`, and `positions`, `[max_len, position_dim]`.
#[derive(Debug, Clone)]
pub(crate) struct Embedding {
    embedding: Array2<f32>,
    positions: Array2<f32>,
    pad: i64,
}

impl Embedding {
    pub(crate) fn load(
        scope: &Scope<'_, '_>,
        (vocabulary, max_len, pad): (usize, usize, i64),
        config: &EmbeddingConfig,
    ) -> Result<Self> {
        let size = [vocabulary, config.dim];
        let embedding = scope.sub("embedding").tensor("weight", &size)?;
        let positions = scope.tensor("positions", &[max_len, config.position_dim])?;
        Ok(Self {
            embedding: matrix(&embedding, config.dim),
            positions: matrix(&positions, config.position_dim),
            pad,
        })
    }

    pub(crate) fn token_dim(&self) -> usize {
        self.embedding.ncols() + self.positions.ncols()
    }

    pub(crate) fn max_len(&self) -> usize {
        self.positions.nrows()
    }

    pub(crate) fn run(
        &self,
        symbols: &ArrayView2<'_, i64>,
        examples: Range<usize>,
        buffers: &mut Buffers,
    ) -> Result<()> {
        let rows = Layout::plain(self.token_dim()).rows();
        let length = symbols.ncols();
        let blocks = length.div_ceil(WIDTH);
        fit(&mut buffers.tokens, examples.len() * blocks * rows);
        buffers.mask.resize(examples.len() * length, false);
        for (place, example) in examples.enumerate() {
            let tokens = &mut buffers.tokens[place * blocks * rows..][..blocks * rows];
            let mask = &mut buffers.mask[place * length..][..length];
            for (at, (symbol, there)) in symbols.row(example).iter().zip(mask).enumerate() {
                let vector = usize::try_from(*symbol)
                    .ok()
                    .filter(|i| *i < self.embedding.nrows());
                let Some(vector) = vector.map(|i| self.embedding.row(i)) else {
                    return Err(EngineError::Input {
                        op: "Engine::infer",
                        expected: format!("symbols in 0..{}", self.embedding.nrows()),
                        found: format!("{symbol} at [{example}, {at}]"),
                    });
                };
                *there = *symbol != self.pad;
                let features = vector.iter().chain(self.positions.row(at));
                let block = &mut tokens[at / WIDTH * rows..][..rows];
                for (row, feature) in block.iter_mut().zip(features) {
                    row.0[at % WIDTH] = *feature;
                }
            }
        }
        Ok(())
    }
}
