//! The tokenizer of one input.

use std::ops::Range;

use ndarray::Axis;

use super::buffers::InputBuffers;
use super::conv_sequence::ConvSequence;
use super::conv_stem::ConvStem;
use super::convnext::ConvNext;
use super::embedding::Embedding;
use super::ngrams::Ngrams;
use super::patches::Patches;
use super::pixels::Pixels;
use super::recurrent::Recurrent;
use super::vectors::Vectors;
use crate::backend::Backend;
use crate::circuit::Buffers;
use crate::error::Result;
use crate::input::{Inputs, Ready};
use crate::scratch::ScratchSize;
use crate::thread_pool::Workers;
use crate::weights::WeightScope;
use nac_core::model::InputKind;
use nac_core::model::spec::{TokenizedInputSpec, TokenizerSpec};

/// Makes tokens of one input.
#[derive(Debug, Clone)]
pub(super) struct OneTokenizer {
    name: String,
    kind: InputKind,
    by: By,
}

/// What makes tokens of one kind of input.
#[derive(Debug, Clone)]
enum By {
    ConvNext(Box<ConvNext>),
    ConvStem(Box<ConvStem>),
    Pixels(Pixels),
    Patches(Patches),
    Embedding(Embedding),
    ConvSequence(Box<ConvSequence>),
    Ngrams(Box<Ngrams>),
    Recurrent(Box<Recurrent>),
    Vectors(Vectors),
}

/// What a tokenizer made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Made {
    /// Tokens per example.
    pub(super) tokens: usize,
    /// Whether the mask counts.
    pub(super) masked: bool,
}

impl OneTokenizer {
    pub(super) fn load(
        scope: &WeightScope<'_, '_>,
        input: &TokenizedInputSpec,
        backend: &Backend,
    ) -> Result<Self> {
        let by = match &input.tokenizer {
            TokenizerSpec::ConvNext(spec) => {
                By::ConvNext(Box::new(ConvNext::load(scope, spec, backend)?))
            }
            TokenizerSpec::Patches(spec) => By::Patches(Patches::load(scope, spec, backend)?),
            TokenizerSpec::ConvStem(spec) => {
                By::ConvStem(Box::new(ConvStem::load(scope, spec, backend)?))
            }
            TokenizerSpec::Pixels(spec) => By::Pixels(Pixels::new(spec)),
            TokenizerSpec::Embedding(spec) => By::Embedding(Embedding::load(scope, spec)?),
            TokenizerSpec::ConvSequence(spec) => {
                By::ConvSequence(Box::new(ConvSequence::load(scope, spec, backend)?))
            }
            TokenizerSpec::Ngrams(spec) => By::Ngrams(Box::new(Ngrams::load(scope, spec)?)),
            TokenizerSpec::Recurrent(spec) => {
                By::Recurrent(Box::new(Recurrent::load(scope, spec, backend)?))
            }
            TokenizerSpec::Vectors(spec) => By::Vectors(Vectors::load(scope, spec, backend)?),
        };
        Ok(Self {
            name: input.name.clone(),
            kind: input.kind.clone(),
            by,
        })
    }

    pub(super) fn scratch_size(&self) -> ScratchSize {
        match &self.by {
            By::ConvNext(tokenizer) => tokenizer.scratch_size(),
            By::ConvStem(tokenizer) => tokenizer.scratch_size(),
            By::Vectors(tokenizer) => tokenizer.scratch_size(),
            By::Patches(tokenizer) => tokenizer.scratch_size(),
            By::ConvSequence(tokenizer) => tokenizer.scratch_size(),
            By::Ngrams(tokenizer) => tokenizer.scratch_size(),
            By::Recurrent(tokenizer) => tokenizer.scratch_size(),
            By::Pixels(_) | By::Embedding(_) => ScratchSize::default(),
        }
    }

    /// Tokens of an example of checked inputs.
    pub(super) fn length(&self, inputs: &Inputs<'_>) -> usize {
        match &self.by {
            By::ConvNext(tokenizer) => tokenizer.tokens(),
            By::ConvStem(tokenizer) => tokenizer.tokens(),
            By::Pixels(tokenizer) => tokenizer.tokens(),
            By::Patches(tokenizer) => tokenizer.tokens(),
            By::Vectors(_) | By::Embedding(_) => self.items(inputs),
            By::ConvSequence(tokenizer) => self.items(inputs).div_ceil(tokenizer.window()),
            By::Ngrams(tokenizer) => self.items(inputs).div_ceil(tokenizer.window()),
            By::Recurrent(tokenizer) => self.items(inputs).div_ceil(tokenizer.window()),
        }
    }

    /// Symbols or vectors of an example.
    fn items(&self, inputs: &Inputs<'_>) -> usize {
        let view = inputs.get(&self.name);
        let length = view.and_then(|view| view.shape().get(1));
        length.copied().unwrap_or(0)
    }

    /// Tokens of some examples of checked inputs, into `buffers`.
    pub(super) fn tokenize(
        &self,
        workers: &Workers<'_>,
        inputs: &Inputs<'_>,
        examples: Range<usize>,
        buffers: &mut Buffers,
        own: &mut InputBuffers,
    ) -> Result<Made> {
        let mut pixels = std::mem::take(&mut own.pixels);
        let (ready, examples) = inputs.ready(&self.name, &self.kind, examples, &mut pixels)?;
        let masked = match (&self.by, ready) {
            (By::ConvNext(tokenizer), Ready::Image(image)) => {
                tokenizer.run(workers, &image, examples, buffers, own);
                false
            }
            (By::ConvStem(tokenizer), Ready::Image(image)) => {
                tokenizer.run(workers, &image, examples, buffers, own);
                false
            }
            (By::Pixels(tokenizer), Ready::Image(image)) => {
                tokenizer.run(&image, examples, buffers);
                false
            }
            (By::Vectors(tokenizer), Ready::Vectors(vectors)) => {
                tokenizer.run(workers, &vectors, examples, buffers)
            }
            (By::Patches(tokenizer), Ready::Image(image)) => {
                let arrays = image.insert_axis(Axis(2));
                tokenizer.run(workers, &arrays, examples, buffers);
                false
            }
            (By::Patches(tokenizer), Ready::Voxels(voxels)) => {
                let arrays = voxels.insert_axis(Axis(1));
                tokenizer.run(workers, &arrays, examples, buffers);
                false
            }
            (By::Embedding(tokenizer), Ready::Symbols(symbols)) => {
                tokenizer.run(&symbols, examples, buffers)?;
                true
            }
            (By::ConvSequence(tokenizer), Ready::Symbols(symbols)) => {
                tokenizer.run(workers, symbols, &examples, buffers, own)?;
                true
            }
            (By::Ngrams(tokenizer), Ready::Symbols(symbols)) => {
                tokenizer.run(workers, symbols, &examples, buffers)?;
                true
            }
            (By::Recurrent(tokenizer), Ready::Symbols(symbols)) => {
                tokenizer.run(workers, symbols, &examples, buffers, own)?;
                true
            }
            _ => {
                unreachable!("the tokenizer was chosen by the kind that inputs are checked against")
            }
        };
        own.pixels = pixels;
        Ok(Made {
            tokens: self.length(inputs),
            masked,
        })
    }
}
