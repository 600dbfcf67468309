//! Linear recurrences along sequences of symbols, means over windows; a learned vector for each token beside them.

use std::ops::Range;

use ndarray::{Array2, ArrayView2};

use super::buffers::InputBuffers;
use super::positions;
use super::recurrence::Recurrence;
use super::symbols::Symbols;
use crate::backend::Backend;
use crate::blocks::{Layout, resize};
use crate::circuit::Buffers;
use crate::error::Result;
use crate::layer::Norm;
use crate::scratch::ScratchSize;
use crate::simd::{Row, WIDTH};
use crate::thread_pool::Workers;
use crate::weights::WeightScope;
use nac_core::model::spec::{RecurrenceSpec, RecurrentSpec};

/// Tensors `embedding.weight`, `layers`, `norm`, and `positions`, `[tokens, position_dim]`.
#[derive(Debug, Clone)]
pub(super) struct Recurrent {
    spec: RecurrentSpec,
    embedding: Array2<f32>,
    layers: Vec<Recurrence>,
    norm: Norm,
    positions: Option<Array2<f32>>,
}

impl Recurrent {
    pub(super) fn load(
        scope: &WeightScope<'_, '_>,
        spec: &RecurrentSpec,
        backend: &Backend,
    ) -> Result<Self> {
        let layer = |layer: &RecurrenceSpec| Recurrence::load(scope, layer, backend);
        let layers = spec.layers.iter().map(layer).collect::<Result<_>>()?;
        let norm = Norm::of(scope, &spec.norm)?;
        let scope = scope.sub(&spec.path);
        let embedding = scope.sub("embedding");
        let embedding = embedding.matrix("weight", &[spec.symbols.vocabulary, spec.dim])?;
        Ok(Self {
            embedding: embedding.into_owned(),
            layers,
            norm,
            positions: positions::load(&scope, [spec.tokens(), spec.position_dim])?,
            spec: spec.clone(),
        })
    }

    /// Symbols of a token.
    pub(super) fn window(&self) -> usize {
        self.spec.window
    }

    pub(super) fn scratch_size(&self) -> ScratchSize {
        let rows = Layout::plain(self.spec.dim).rows();
        let pooling = ScratchSize {
            normal: rows,
            message: rows,
            ..ScratchSize::default()
        };
        let layers = self.layers.iter().map(Recurrence::scratch_size);
        layers.fold(pooling, ScratchSize::max)
    }

    /// Tokens of some examples and their mask.
    pub(super) fn run(
        &self,
        workers: &Workers<'_>,
        symbols: ArrayView2<'_, i64>,
        examples: &Range<usize>,
        buffers: &mut Buffers,
        own: &mut InputBuffers,
    ) -> Result<()> {
        let (of, dim) = (&self.spec.symbols, self.spec.dim);
        let symbols = Symbols::check(symbols, examples, of.vocabulary, of.pad)?;
        symbols.mask(examples.len(), self.spec.window, &mut buffers.mask);
        let rows = Layout::plain(dim).rows();
        let size = symbols.length().div_ceil(WIDTH) * rows;
        let [x, _] = &mut own.maps;
        resize(x, examples.len() * size);
        workers.each(x, size, |example, x, scratch| {
            for (block, x) in x.chunks_exact_mut(rows).enumerate() {
                symbols.embed(&self.embedding, (example, block), true, x);
            }
            for layer in &self.layers {
                layer.run(workers.backend, x, scratch);
            }
        });
        let tokens = symbols.length().div_ceil(self.spec.window);
        let blocks = tokens.div_ceil(WIDTH);
        let token_rows = Layout::plain(self.spec.token_dim()).rows();
        resize(&mut buffers.tokens, examples.len() * blocks * token_rows);
        let x = &*x;
        workers.each(&mut buffers.tokens, token_rows, |index, y, scratch| {
            let (example, first) = (index / blocks, index % blocks * WIDTH);
            let here = first..tokens.min(first + WIDTH);
            let means = &mut scratch.message[..rows];
            means.fill(Row::ZERO);
            for token in here.clone() {
                let x = &x[example * size..][..size];
                self.pool(&symbols, x, (example, token), means);
            }
            self.norm.apply(workers.backend, means, &mut scratch.normal);
            let (features, beside) = y.split_at_mut(dim);
            features.copy_from_slice(&scratch.normal[..dim]);
            beside.fill(Row::ZERO);
            if let Some(positions) = &self.positions {
                positions::write(positions, here, beside);
            }
        });
        Ok(())
    }

    /// Adds the mean of a token's symbols to its lane of `means`, which holds zeros.
    fn pool(
        &self,
        symbols: &Symbols<'_>,
        x: &[Row],
        (example, token): (usize, usize),
        means: &mut [Row],
    ) {
        let (window, rows) = (self.spec.window, means.len());
        let all = token * window..symbols.length().min((token + 1) * window);
        let row = symbols.row(example);
        let real = || all.clone().filter(|at| symbols.is_real(row[*at]));
        let count = real().count().max(1) as f32;
        for at in real() {
            let from = &x[at / WIDTH * rows..][..rows];
            for (mean, from) in means.iter_mut().zip(from) {
                mean.0[token % WIDTH] += from.0[at % WIDTH] / count;
            }
        }
    }
}
