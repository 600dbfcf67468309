//! Learned vectors of hashed n-grams, pooled over windows; a learned vector for each token beside them.

use std::ops::Range;

use ndarray::{Array2, ArrayView2};

use super::positions;
use super::symbols::Symbols;
use crate::blocks::{Layout, resize};
use crate::circuit::Buffers;
use crate::error::Result;
use crate::layer::Norm;
use crate::scratch::ScratchSize;
use crate::simd::{Row, WIDTH};
use crate::thread_pool::Workers;
use crate::weights::WeightScope;
use nac_core::model::NgramPooling;
use nac_core::model::spec::NgramsSpec;

/// Tensors `embedding.weight`, `[orders · buckets, dim]`, `norm`, and `positions`, `[tokens, position_dim]`.
#[derive(Debug, Clone)]
pub(super) struct Ngrams {
    spec: NgramsSpec,
    embedding: Array2<f32>,
    norm: Option<Norm>,
    positions: Option<Array2<f32>>,
}

impl Ngrams {
    pub(super) fn load(scope: &WeightScope<'_, '_>, spec: &NgramsSpec) -> Result<Self> {
        let norm = spec.norm.as_ref().map(|norm| Norm::of(scope, norm));
        let norm = norm.transpose()?;
        let scope = scope.sub(&spec.path);
        let size = [spec.orders.len() * spec.buckets, spec.dim];
        Ok(Self {
            embedding: scope.sub("embedding").matrix("weight", &size)?.into_owned(),
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
        ScratchSize {
            normal: rows,
            message: rows,
            ..ScratchSize::default()
        }
    }

    /// Tokens of some examples and their mask.
    pub(super) fn run(
        &self,
        workers: &Workers<'_>,
        symbols: ArrayView2<'_, i64>,
        examples: &Range<usize>,
        buffers: &mut Buffers,
    ) -> Result<()> {
        let (of, dim) = (&self.spec.symbols, self.spec.dim);
        let symbols = Symbols::check(symbols, examples, of.vocabulary, of.pad)?;
        symbols.mask(examples.len(), self.spec.window, &mut buffers.mask);
        let tokens = symbols.length().div_ceil(self.spec.window);
        let blocks = tokens.div_ceil(WIDTH);
        let rows = Layout::plain(self.spec.token_dim()).rows();
        let feature_rows = Layout::plain(dim).rows();
        resize(&mut buffers.tokens, examples.len() * blocks * rows);
        workers.each(&mut buffers.tokens, rows, |index, y, scratch| {
            let (example, first) = (index / blocks, index % blocks * WIDTH);
            let here = first..tokens.min(first + WIDTH);
            // The sums of one token after the other lie in `normal`, then feature by feature in `message`.
            let x = &mut scratch.message[..feature_rows];
            x.fill(Row::ZERO);
            let sums: &mut [f32] = bytemuck::cast_slice_mut(&mut scratch.normal);
            for token in here.clone() {
                self.pool(&symbols, example, token, &mut sums[..dim]);
                for (row, sum) in x.iter_mut().zip(&sums[..dim]) {
                    row.0[token - first] = *sum;
                }
            }
            if let Some(norm) = &self.norm {
                norm.apply(workers.backend, x, &mut scratch.normal);
                x.copy_from_slice(&scratch.normal[..feature_rows]);
            }
            let (features, beside) = y.split_at_mut(dim);
            features.copy_from_slice(&x[..dim]);
            beside.fill(Row::ZERO);
            if let Some(positions) = &self.positions {
                positions::write(positions, here, beside);
            }
        });
        Ok(())
    }

    /// The pooled vector of a token.
    fn pool(&self, symbols: &Symbols<'_>, example: usize, token: usize, sums: &mut [f32]) {
        sums.fill(0.0);
        let (row, spec) = (symbols.row(example), &self.spec);
        let mut count = 0_usize;
        let start = token * spec.window;
        for end in start..row.len().min(start + spec.window) {
            for (order, length) in spec.orders.iter().enumerate() {
                let Some(begin) = (end + 1).checked_sub(*length) else {
                    break;
                };
                let mut hash = Some(0);
                for at in begin..=end {
                    let real = symbols.is_real(row[at]);
                    hash = hash
                        .filter(|_| real)
                        .map(|h| NgramsSpec::extend(h, row[at]));
                }
                let Some(hash) = hash else { break };
                let vector = self.embedding.row(spec.bucket(order, hash));
                sums.iter_mut().zip(vector).for_each(|(sum, x)| *sum += x);
                count += 1;
            }
        }
        if spec.pooling == NgramPooling::Mean {
            let count = count.max(1) as f32;
            sums.iter_mut().for_each(|sum| *sum /= count);
        }
    }
}
