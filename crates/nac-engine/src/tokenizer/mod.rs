//! Tokenizers: from an input to blocks of tokens.

mod convnext;
mod convnext_block;
mod depthwise;
mod embedding;
pub(crate) mod grid;
mod map;
mod pixels;

use super::backend::Backend;
use super::circuit::Buffers;
use super::error::Result;
use super::input::Input;
use super::scratch::ScratchSize;
use super::simd::Row;
use super::thread_pool::Workers;
use super::weights::WeightScope;
use nac_core::model::{ImageTokenizer, InputSpec, ModelConfig};

pub(crate) use convnext::ConvNext;
pub(crate) use embedding::Embedding;
pub(crate) use pixels::Pixels;

/// Makes tokens of one kind of input.
#[derive(Debug, Clone)]
pub(crate) enum Tokenizer {
    ConvNext(Box<ConvNext>),
    Pixels(Pixels),
    Embedding(Embedding),
}

/// Buffers that tokenizers keep between passes.
#[derive(Debug, Default)]
pub(crate) struct TokenizerBuffers {
    /// Maps after each stage, in blocks.
    pub(crate) maps: [Vec<Row>; 2],
    /// Planes of channels.
    pub(crate) planes: Vec<f32>,
}

impl Tokenizer {
    pub(crate) fn load(
        scope: &WeightScope<'_, '_>,
        input: InputSpec,
        config: &ModelConfig,
        backend: &Backend,
    ) -> Result<Self> {
        Ok(match input {
            InputSpec::Image {
                channels,
                height,
                width,
            } => match config.image_tokenizer {
                ImageTokenizer::Pixels => Self::Pixels(Pixels::new(channels, height, width)),
                ImageTokenizer::Convnext => {
                    let size = (channels, height, width);
                    Self::ConvNext(Box::new(ConvNext::load(
                        scope,
                        size,
                        &config.convnext,
                        backend,
                    )?))
                }
            },
            InputSpec::Tokens {
                vocabulary,
                max_len,
                pad,
            } => Self::Embedding(Embedding::load(
                scope,
                (vocabulary, max_len, pad),
                &config.embedding,
            )?),
        })
    }

    /// Features of a token.
    pub(crate) fn token_dim(&self) -> usize {
        match self {
            Self::ConvNext(tokenizer) => tokenizer.token_dim(),
            Self::Pixels(tokenizer) => tokenizer.channels(),
            Self::Embedding(tokenizer) => tokenizer.token_dim(),
        }
    }

    pub(crate) fn scratch_size(&self) -> ScratchSize {
        match self {
            Self::ConvNext(tokenizer) => tokenizer.scratch_size(),
            Self::Pixels(_) | Self::Embedding(_) => ScratchSize::default(),
        }
    }

    /// Tokens of the examples of `input` from `first` on, into `buffers`; returns tokens per example and whether the
    /// mask counts.
    pub(crate) fn tokenize(
        &self,
        workers: &Workers<'_>,
        input: &Input<'_>,
        examples: std::ops::Range<usize>,
        buffers: &mut Buffers,
        tokenizer_buffers: &mut TokenizerBuffers,
    ) -> Result<(usize, bool)> {
        match self {
            Self::ConvNext(tokenizer) => {
                let image = input.image(tokenizer.size())?;
                tokenizer.run(workers, &image, examples, buffers, tokenizer_buffers);
                Ok((tokenizer.tokens(), false))
            }
            Self::Pixels(tokenizer) => {
                let image = input.image(tokenizer.size())?;
                tokenizer.run(&image, examples, buffers);
                Ok((tokenizer.tokens(), false))
            }
            Self::Embedding(tokenizer) => {
                let symbols = input.tokens(tokenizer.max_len())?;
                tokenizer.run(&symbols, examples, buffers)?;
                Ok((symbols.ncols(), true))
            }
        }
    }
}
