//! A learned vector for each symbol beside a learned vector for each position.

use std::ops::Range;

use ndarray::{Array2, ArrayView2};

use super::positions;
use super::symbols::Symbols;
use crate::blocks::Layout;
use crate::blocks::resize;
use crate::circuit::Buffers;
use crate::error::Result;
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
        let (vocabulary, dim) = self.embedding.dim();
        let symbols = Symbols::check(symbols.view(), &examples, vocabulary, self.pad)?;
        symbols.mask(examples.len(), 1, &mut buffers.mask);
        let length = symbols.length();
        let blocks = length.div_ceil(WIDTH);
        resize(&mut buffers.tokens, examples.len() * blocks * rows);
        for (index, tokens) in buffers.tokens.chunks_exact_mut(rows).enumerate() {
            let (example, first) = (index / blocks, index % blocks * WIDTH);
            symbols.embed(&self.embedding, (example, index % blocks), true, tokens);
            let here = first..length.min(first + WIDTH);
            positions::write(&self.positions, here, &mut tokens[dim..]);
        }
        Ok(())
    }
}
