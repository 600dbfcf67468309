//! Tokenizers: from an input to blocks of tokens.

mod buffers;
mod convnext;
mod convnext_block;
mod depthwise;
mod embedding;
pub(crate) mod grid;
mod map;
mod pixels;

use super::backend::Backend;
use super::circuit::Buffers;
use super::error::{EngineError, Result};
use super::input::{Inputs, Ready};
use super::scratch::ScratchSize;
use super::thread_pool::Workers;
use super::weights::WeightScope;
use nac_core::model::{ImageTokenizer, InputKind, InputSpec, ModelConfig};

pub(crate) use buffers::TokenizerBuffers;
pub(crate) use convnext::ConvNext;
pub(crate) use embedding::Embedding;
pub(crate) use pixels::Pixels;

/// Makes tokens of the input of a model.
#[derive(Debug, Clone)]
pub(crate) struct Tokenizer {
    name: String,
    kind: InputKind,
    by: By,
}

/// What makes tokens of one kind of input.
#[derive(Debug, Clone)]
enum By {
    ConvNext(Box<ConvNext>),
    Pixels(Pixels),
    Embedding(Embedding),
}

impl Tokenizer {
    pub(crate) fn load(
        scope: &WeightScope<'_, '_>,
        inputs: &InputSpec,
        config: &ModelConfig,
        backend: &Backend,
    ) -> Result<Self> {
        let Some((name, kind)) = inputs.iter().next().filter(|_| inputs.len() == 1) else {
            let reason = "one input is read";
            return Err(EngineError::unsupported("inputs", inputs.len(), reason));
        };
        let by = match *kind {
            InputKind::Image {
                channels,
                height,
                width,
                ..
            } => match config.image_tokenizer {
                ImageTokenizer::Pixels => By::Pixels(Pixels::new(channels, height, width)),
                ImageTokenizer::Convnext => {
                    let size = (channels, height, width);
                    By::ConvNext(Box::new(ConvNext::load(
                        scope,
                        size,
                        &config.convnext,
                        backend,
                    )?))
                }
            },
            InputKind::Tokens {
                vocabulary,
                max_len,
                pad,
            } => By::Embedding(Embedding::load(
                scope,
                (vocabulary, max_len, pad),
                &config.embedding,
            )?),
            _ => {
                let reason = "there is no tokenizer for this kind";
                return Err(EngineError::unsupported("inputs", kind.name(), reason));
            }
        };
        Ok(Self {
            name: name.to_owned(),
            kind: kind.clone(),
            by,
        })
    }

    /// Features of a token.
    pub(crate) fn token_dim(&self) -> usize {
        match &self.by {
            By::ConvNext(tokenizer) => tokenizer.token_dim(),
            By::Pixels(tokenizer) => tokenizer.channels(),
            By::Embedding(tokenizer) => tokenizer.token_dim(),
        }
    }

    pub(crate) fn scratch_size(&self) -> ScratchSize {
        match &self.by {
            By::ConvNext(tokenizer) => tokenizer.scratch_size(),
            By::Pixels(_) | By::Embedding(_) => ScratchSize::default(),
        }
    }

    /// Tokens of some examples of checked inputs, into `buffers`; returns tokens per example and whether the
    /// mask counts.
    pub(crate) fn tokenize(
        &self,
        workers: &Workers<'_>,
        inputs: &Inputs<'_>,
        examples: std::ops::Range<usize>,
        buffers: &mut Buffers,
        tokenizer_buffers: &mut TokenizerBuffers,
    ) -> Result<(usize, bool)> {
        let mut pixels = std::mem::take(&mut tokenizer_buffers.pixels);
        let (ready, examples) = inputs.ready(&self.name, &self.kind, examples, &mut pixels)?;
        let made = match (&self.by, ready) {
            (By::ConvNext(tokenizer), Ready::Image(image)) => {
                tokenizer.run(workers, &image, examples, buffers, tokenizer_buffers);
                Ok((tokenizer.tokens(), false))
            }
            (By::Pixels(tokenizer), Ready::Image(image)) => {
                tokenizer.run(&image, examples, buffers);
                Ok((tokenizer.tokens(), false))
            }
            (By::Embedding(tokenizer), Ready::Symbols(symbols)) => {
                tokenizer.run(&symbols, examples, buffers)?;
                Ok((symbols.ncols(), true))
            }
            _ => unreachable!(
                "the tokenizer was chosen by the kind that the inputs were checked against"
            ),
        };
        tokenizer_buffers.pixels = pixels;
        made
    }
}
