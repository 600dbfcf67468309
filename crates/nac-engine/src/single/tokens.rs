//! A tokenizer, and a positional grid.

use ndarray::{Array3, ArrayView3};

use super::SingleLayer;
use crate::blocks::{Layout, to_items};
use crate::circuit::Buffers;
use crate::error::{EngineError, Result};
use crate::input::Inputs;
use crate::scratch::ThreadScratch;
use crate::simd::WIDTH;
use crate::thread_pool::{ThreadPool, Workers};
use crate::tokenizer::{Tokenizer, TokenizerBuffers, grid};
use nac_core::model::{InputSpec, ModelConfig};

impl SingleLayer<'_> {
    /// Tokens of inputs, by the tokenizers that the settings choose. Tensors of a ConvNeXt: below `backbone` and
    /// `positional_grid`; of symbols: `embedding.weight`, `positions`.
    ///
    /// # Shapes
    /// - inputs: each `[batch, ...]`
    /// - result: `[batch, tokens, token_dim]`
    ///
    /// # Errors
    /// The inputs are not what `spec` says, a setting does not suit them, or a tensor is missing, has another shape or
    /// is not used.
    pub fn tokens(
        &self,
        spec: &InputSpec,
        config: &ModelConfig,
        inputs: &Inputs<'_>,
    ) -> Result<Array3<f32>> {
        spec.check()?;
        inputs.check(spec)?;
        let backend = self.backend();
        let tokenizer = self.built(|scope| Tokenizer::load(scope, spec, config, &backend))?;
        let pool = ThreadPool::new(1)?;
        let scratch = ThreadScratch::new(1, tokenizer.scratch_size());
        let workers = Workers {
            backend: &backend,
            pool: &pool,
            scratch: &scratch,
        };
        let mut buffers = Buffers::default();
        let mut tokenizer_buffers = TokenizerBuffers::default();
        let all = 0..inputs.batch();
        let (tokens, _) =
            tokenizer.tokenize(&workers, inputs, all, &mut buffers, &mut tokenizer_buffers)?;
        let features = tokenizer.token_dim();
        let rows = Layout::plain(features).rows();
        let mut found = Array3::zeros((inputs.batch(), tokens, features));
        let examples = buffers.tokens.chunks_exact(tokens.div_ceil(WIDTH) * rows);
        for (blocks, items) in examples.zip(found.outer_iter_mut()) {
            to_items(blocks, rows, items);
        }
        Ok(found)
    }

    /// A positional grid of `size` (height, width), resized to `to`. Tensor `grid`, `[dim, height, width]`.
    ///
    /// # Shapes
    /// - result: `[dim, to.0, to.1]`
    ///
    /// # Errors
    /// The tensor is missing or has another shape.
    pub fn positional_grid(
        &self,
        dim: usize,
        size: (usize, usize),
        to: (usize, usize),
    ) -> Result<Array3<f32>> {
        let planes = self.built(|scope| grid::planes(scope, dim, size, to))?;
        let values = planes.concat();
        ArrayView3::from_shape((dim, to.0, to.1), &values)
            .map(|planes| planes.to_owned())
            .map_err(|error| EngineError::Other(error.to_string()))
    }
}
