//! Tokenizers: from inputs to blocks of tokens.

mod buffers;
mod conv_layer;
mod conv_sequence;
mod conv_stem;
mod convnext;
mod convnext_block;
mod depthwise;
mod embedding;
pub(crate) mod grid;
mod map;
mod ngrams;
mod one;
mod patches;
mod pixels;
mod positions;
mod recurrence;
mod recurrent;
mod symbols;
mod vectors;

use std::ops::Range;

use super::backend::Backend;
use super::blocks::{Layout, resize};
use super::circuit::Buffers;
use super::error::Result;
use super::input::Inputs;
use super::layer::{Modulation, Projection, Target};
use super::scratch::ScratchSize;
use super::simd::{Row, WIDTH};
use super::thread_pool::Workers;
use super::weights::WeightScope;
use nac_core::model::spec::{ConditionSpec, InputsSpec, TokenizedInputSpec};
use nac_core::model::{InputSpec, ModelConfig};

use buffers::InputBuffers;
use one::{Made, OneTokenizer};

/// Makes tokens of the inputs of a model.
#[derive(Debug, Clone)]
pub(crate) struct Tokenizer {
    parts: Vec<(OneTokenizer, Option<Join>)>,
    token_dim: usize,
}

/// What one of several inputs needs to join the others.
#[derive(Debug, Clone)]
struct Join {
    /// To the common width, where the tokenizer's is another.
    projection: Option<Projection>,
    /// Added to every token.
    side: Vec<f32>,
}

/// Buffers that tokenizers keep between passes.
#[derive(Debug, Default)]
pub(crate) struct TokenizerBuffers {
    input: InputBuffers,
    /// Tokens of one input in the common width.
    projected: Vec<Row>,
    /// Tokens of all inputs, and which of them count.
    joined: Vec<Row>,
    mask: Vec<bool>,
}

impl Join {
    fn load(
        scope: &WeightScope<'_, '_>,
        input: &TokenizedInputSpec,
        backend: &Backend,
    ) -> Result<Option<Self>> {
        let Some(join) = &input.join else {
            return Ok(None);
        };
        let load = |layer: &nac_core::model::spec::LinearSpec| {
            let layouts = (Layout::plain(layer.input), Layout::plain(layer.output));
            let precision = backend.precision.without_int8();
            Projection::linear(scope, layer, layouts, precision)
        };
        Ok(Some(Self {
            projection: join.projection.as_ref().map(load).transpose()?,
            side: scope
                .sub(&join.path)
                .tensor("side_embedding", &[join.dim])?
                .to_vec(),
        }))
    }
}

impl Tokenizer {
    pub(crate) fn load(
        scope: &WeightScope<'_, '_>,
        inputs: &InputSpec,
        config: &ModelConfig,
        backend: &Backend,
    ) -> Result<Self> {
        let InputsSpec {
            inputs, token_dim, ..
        } = config.resolve_inputs("", inputs)?;
        let part = |input: &TokenizedInputSpec| {
            let tokenizer = OneTokenizer::load(scope, input, backend)?;
            Ok((tokenizer, Join::load(scope, input, backend)?))
        };
        Ok(Self {
            parts: inputs.iter().map(part).collect::<Result<_>>()?,
            token_dim,
        })
    }

    /// The tokenizer of the text that a circuit generator reads.
    pub(crate) fn of_text(
        scope: &WeightScope<'_, '_>,
        spec: &ConditionSpec,
        backend: &Backend,
    ) -> Result<Self> {
        let input = TokenizedInputSpec {
            name: spec.input.clone(),
            kind: spec.kind.clone(),
            tokenizer: spec.tokenizer.clone(),
            shared_with: None,
            join: None,
        };
        Ok(Self {
            parts: vec![(OneTokenizer::load(scope, &input, backend)?, None)],
            token_dim: spec.tokenizer.token_dim(),
        })
    }

    /// Features of a token.
    pub(crate) fn token_dim(&self) -> usize {
        self.token_dim
    }

    pub(crate) fn scratch_size(&self) -> ScratchSize {
        let sizes = self.parts.iter().map(|(tokenizer, join)| {
            let projection = join.as_ref().and_then(|join| join.projection.as_ref());
            let operand = projection.map_or(0, Projection::input_rows);
            tokenizer.scratch_size().max(ScratchSize {
                operand,
                ..ScratchSize::default()
            })
        });
        sizes.fold(ScratchSize::default(), ScratchSize::max)
    }

    /// Tokens of some examples of checked inputs, into `buffers`; returns tokens per example and whether the
    /// mask counts.
    pub(crate) fn tokenize(
        &self,
        workers: &Workers<'_>,
        inputs: &Inputs<'_>,
        examples: Range<usize>,
        buffers: &mut Buffers,
        own: &mut TokenizerBuffers,
    ) -> Result<(usize, bool)> {
        if let [(only, _)] = self.parts.as_slice() {
            let made = only.tokenize(workers, inputs, examples, buffers, &mut own.input)?;
            return Ok((made.tokens, made.masked));
        }
        let count = examples.len();
        let lengths = self.parts.iter().map(|(part, _)| part.length(inputs));
        let total: usize = lengths.sum();
        let example_rows = total.div_ceil(WIDTH) * Layout::plain(self.token_dim).rows();
        own.joined.clear();
        resize(&mut own.joined, count * example_rows);
        own.mask.clear();
        own.mask.resize(count * total, true);
        let (mut start, mut masked) = (0, false);
        for (part, join) in &self.parts {
            buffers.tokens.clear();
            let made = part.tokenize(workers, inputs, examples.clone(), buffers, &mut own.input)?;
            if made.masked {
                masked = true;
                let parts = buffers.mask.chunks_exact(made.tokens);
                for (all, part) in own.mask.chunks_exact_mut(total).zip(parts) {
                    all[start..][..made.tokens].copy_from_slice(part);
                }
            }
            self.join(workers, join.as_ref(), (made, start), buffers, own, count);
            start += made.tokens;
        }
        std::mem::swap(&mut buffers.tokens, &mut own.joined);
        std::mem::swap(&mut buffers.mask, &mut own.mask);
        Ok((total, masked))
    }

    /// Puts the tokens of one input, which are in `buffers`, at `start` of each example's tokens.
    fn join(
        &self,
        workers: &Workers<'_>,
        join: Option<&Join>,
        (made, start): (Made, usize),
        buffers: &Buffers,
        own: &mut TokenizerBuffers,
        examples: usize,
    ) {
        let rows = Layout::plain(self.token_dim).rows();
        let blocks = made.tokens.div_ceil(WIDTH);
        let from = match join.and_then(|join| join.projection.as_ref()) {
            Some(projection) => {
                let depth = projection.input_rows();
                resize(&mut own.projected, examples * blocks * rows);
                workers.each(&mut own.projected, rows, |index, y, scratch| {
                    let x = &buffers.tokens[index * depth..][..depth];
                    let (buffer, none) = (&mut scratch.operand, Modulation::default());
                    let target = Target::overwrite(y, rows);
                    projection.apply(workers.backend, &none, 0, x, buffer, target);
                });
                &own.projected
            }
            None => &buffers.tokens,
        };
        let example_rows = own.joined.len() / examples.max(1);
        let parts = from.chunks_exact(blocks * rows);
        for (all, part) in own.joined.chunks_exact_mut(example_rows).zip(parts) {
            for token in 0..made.tokens {
                let to = &mut all[(start + token) / WIDTH * rows..][..self.token_dim];
                let from = &part[token / WIDTH * rows..][..self.token_dim];
                let side = join.map_or(&[][..], |join| &join.side);
                for (feature, (to, from)) in to.iter_mut().zip(from).enumerate() {
                    let side = side.get(feature).copied().unwrap_or(0.0);
                    to.0[(start + token) % WIDTH] = from.0[token % WIDTH] + side;
                }
            }
        }
    }
}
