//! Tokenizers: from an input to blocks of tokens.

mod convnext;
mod convnext_block;
mod depthwise;
mod embedding;
pub(crate) mod grid;
mod pixels;

use super::circuit::plan::Buffers;
use super::error::Result;
use super::input::Input;
use super::layer::Tools;
use super::simd::Row;
use super::team::{Desks, Room, Team};
use super::weights::Scope;
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

/// Room that tokenizers keep between runs.
#[derive(Debug, Default)]
pub(crate) struct TokenizerBuffers {
    /// Maps after each stage, in blocks.
    pub(crate) maps: [Vec<Row>; 2],
    /// Planes of channels.
    pub(crate) planes: Vec<f32>,
}

impl Tokenizer {
    pub(crate) fn load(
        scope: &Scope<'_, '_>,
        input: InputSpec,
        config: &ModelConfig,
        tools: &Tools,
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
                        tools,
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

    pub(crate) fn room(&self) -> Room {
        match self {
            Self::ConvNext(tokenizer) => tokenizer.room(),
            Self::Pixels(_) | Self::Embedding(_) => Room::default(),
        }
    }

    /// Tokens of the examples of `input` from `first` on, into `buffers`; returns tokens per example and whether the
    /// mask counts.
    #[allow(clippy::too_many_arguments, reason = "a run has that many parts")]
    pub(crate) fn tokenize(
        &self,
        tools: &Tools,
        team: &Team,
        desks: &Desks,
        input: &Input<'_>,
        examples: std::ops::Range<usize>,
        buffers: &mut Buffers,
        room: &mut TokenizerBuffers,
    ) -> Result<(usize, bool)> {
        match self {
            Self::ConvNext(tokenizer) => {
                let image = input.image(tokenizer.size())?;
                tokenizer.run(tools, team, desks, &image, examples, buffers, room);
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
