//! Strided convolutions along sequences of symbols; a learned vector for each token beside them.
//!
//! A convolution is a product of unfolded windows, position by position and then feature by feature.

use std::ops::Range;

use ndarray::{Array2, ArrayView2};

use super::buffers::InputBuffers;
use super::positions;
use super::symbols::Symbols;
use crate::backend::Backend;
use crate::blocks::{Layout, resize};
use crate::circuit::Buffers;
use crate::error::Result;
use crate::layer::{Modulation, Norm, Projection, Raw, Target};
use crate::scratch::{Scratch, ScratchSize};
use crate::simd::gelu::Gelu;
use crate::simd::{Row, WIDTH};
use crate::thread_pool::Workers;
use crate::weights::WeightScope;
use nac_core::model::spec::{ConvSequenceSpec, SequenceConvSpec};

/// Tensors `embedding.weight`, `layers` and `positions`, `[tokens, position_dim]`.
#[derive(Debug, Clone)]
pub(super) struct ConvSequence {
    spec: ConvSequenceSpec,
    embedding: Array2<f32>,
    layers: Vec<Convolution>,
    positions: Option<Array2<f32>>,
}

/// Convolution, perhaps layer norm, GELU.
#[derive(Debug, Clone)]
struct Convolution {
    projection: Projection,
    norm: Option<Norm>,
    spec: SequenceConvSpec,
    /// Symbols that an output stands for.
    window: usize,
}

impl Convolution {
    fn load(
        scope: &WeightScope<'_, '_>,
        spec: &SequenceConvSpec,
        window: usize,
        backend: &Backend,
    ) -> Result<Self> {
        let below = scope.sub(&spec.path);
        let (input, kernel) = (spec.input, spec.kernel);
        let weight = below.matrix("weight", &[spec.output, input, kernel])?;
        let unfolded = Array2::from_shape_fn(weight.raw_dim(), |(output, at)| {
            weight[[output, at % input * kernel + at / input]]
        });
        let raw = Raw {
            weight: unfolded.into(),
            bias: Some(below.tensor("bias", &[spec.output])?),
        };
        let layouts = (Layout::plain(input * kernel), Layout::plain(spec.output));
        let norm = spec.norm.as_ref().map(|norm| Norm::of(scope, norm));
        Ok(Self {
            projection: Projection::of(&raw, layouts, backend.precision.without_int8()),
            norm: norm.transpose()?,
            spec: spec.clone(),
            window,
        })
    }

    /// The outputs of a block, from the features of the whole example.
    fn run(
        &self,
        backend: &Backend,
        (x, length): (&[Row], usize),
        block: usize,
        scratch: &mut Scratch,
        y: &mut [Row],
    ) {
        let unfolded = &mut scratch.hidden[..self.projection.input_rows()];
        self.unfold((x, length), block, unfolded);
        let rows = y.len();
        let (buffer, none) = (&mut scratch.operand, Modulation::default());
        let target = Target::overwrite(y, rows);
        self.projection
            .apply(backend, &none, 0, unfolded, buffer, target);
        if let Some(norm) = &self.norm {
            norm.apply(backend, y, &mut scratch.normal);
            y.copy_from_slice(&scratch.normal[..rows]);
        }
        backend.arch.dispatch(Gelu { y: &mut *y });
        if self.spec.residual {
            for (y, x) in y.iter_mut().zip(&x[block * rows..][..rows]) {
                y.0.iter_mut().zip(x.0).for_each(|(y, x)| *y += x);
            }
        }
    }

    /// What the outputs of a block read; zeros outside the example.
    fn unfold(&self, (x, length): (&[Row], usize), block: usize, unfolded: &mut [Row]) {
        let (stride, left) = (self.spec.stride, self.spec.left());
        let rows = Layout::plain(self.spec.input).rows();
        unfolded.fill(Row::ZERO);
        let taps = unfolded.chunks_exact_mut(self.spec.input);
        for (tap, features) in taps.take(self.spec.kernel).enumerate() {
            for lane in 0..WIDTH {
                let at = (block * WIDTH + lane) * stride + tap;
                let Some(at) = at.checked_sub(left).filter(|at| *at < length) else {
                    continue;
                };
                let from = &x[at / WIDTH * rows..][..self.spec.input];
                for (row, from) in features.iter_mut().zip(from) {
                    row.0[lane] = from.0[at % WIDTH];
                }
            }
        }
    }
}

impl ConvSequence {
    pub(super) fn load(
        scope: &WeightScope<'_, '_>,
        spec: &ConvSequenceSpec,
        backend: &Backend,
    ) -> Result<Self> {
        let mut window = 1;
        let layer = |layer: &SequenceConvSpec| {
            window *= layer.stride;
            Convolution::load(scope, layer, window, backend)
        };
        let layers = spec.layers.iter().map(layer).collect::<Result<_>>()?;
        let scope = scope.sub(&spec.path);
        let embedding = scope.sub("embedding");
        let embedding = embedding.matrix("weight", &[spec.symbols.vocabulary, spec.dim])?;
        Ok(Self {
            embedding: embedding.into_owned(),
            layers,
            positions: positions::load(&scope, [spec.tokens(), spec.position_dim])?,
            spec: spec.clone(),
        })
    }

    /// Symbols that a token stands for.
    pub(super) fn window(&self) -> usize {
        self.spec.window()
    }

    pub(super) fn scratch_size(&self) -> ScratchSize {
        let sizes = self.layers.iter().map(|layer| ScratchSize {
            normal: layer.projection.output_rows(),
            operand: layer.projection.input_rows(),
            hidden: layer.projection.input_rows(),
            ..ScratchSize::default()
        });
        sizes.fold(ScratchSize::default(), ScratchSize::max)
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
        let of = &self.spec.symbols;
        let symbols = Symbols::check(symbols, examples, of.vocabulary, of.pad)?;
        let [x, y] = &mut own.maps;
        let mut length = symbols.length();
        let mut blocks = length.div_ceil(WIDTH);
        let mut rows = Layout::plain(self.spec.dim).rows();
        resize(x, examples.len() * blocks * rows);
        workers.each(x, rows, |index, x, _| {
            symbols.embed(&self.embedding, (index / blocks, index % blocks), false, x);
        });
        for layer in &self.layers {
            let before = (&*x, length, blocks * rows);
            length = length.div_ceil(layer.spec.stride);
            blocks = length.div_ceil(WIDTH);
            rows = layer.projection.output_rows();
            resize(y, examples.len() * blocks * rows);
            workers.each(y, rows, |index, y, scratch| {
                let (example, block) = (index / blocks, index % blocks);
                let (x, length_before, size) = before;
                let x = (&x[example * size..][..size], length_before);
                layer.run(workers.backend, x, block, scratch, y);
                for lane in 0..WIDTH {
                    if !symbols.any(example, block * WIDTH + lane, layer.window) {
                        y.iter_mut().for_each(|row| row.0[lane] = 0.0);
                    }
                }
            });
            std::mem::swap(x, y);
        }
        symbols.mask(examples.len(), self.window(), &mut buffers.mask);
        let (width, token_rows) = (
            self.spec.width(),
            Layout::plain(self.spec.token_dim()).rows(),
        );
        resize(&mut buffers.tokens, examples.len() * blocks * token_rows);
        let x = &*x;
        workers.each(&mut buffers.tokens, token_rows, |index, token, _| {
            let (features, beside) = token.split_at_mut(width);
            features.copy_from_slice(&x[index * rows..][..width]);
            beside.fill(Row::ZERO);
            if let Some(positions) = &self.positions {
                let first = index % blocks * WIDTH;
                positions::write(positions, first..length.min(first + WIDTH), beside);
            }
        });
        Ok(())
    }
}
