//! From settings to a model.

use super::{ImageTokenizer, Model, ModelConfig, ModelKind, NeuralCircuit};
use crate::baseline::PerceiverIo;
use crate::error::Result;
use crate::params::{ParamStore, Scope};
use crate::tokenizer::{ConvNextTokenizer, EmbeddingTokenizer, PixelTokenizer, Tokenizer};

/// What a model reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InputSpec {
    /// Input `image`, `[batch, channels, height, width]`.
    Image {
        /// Channels.
        channels: usize,
        /// Height in pixels.
        height: usize,
        /// Width in pixels.
        width: usize,
    },
    /// Input `tokens`, `[batch, length]`.
    Tokens {
        /// Number of symbols, padding included.
        vocabulary: usize,
        /// Longest sequence.
        max_len: usize,
        /// Symbol that means padding.
        pad: i64,
    },
}

/// Builds the model that `config` describes, with its parameters in `store`.
///
/// # Errors
/// A setting is out of range or does not suit the input.
pub fn build_model(
    store: ParamStore,
    config: &ModelConfig,
    input: InputSpec,
    classes: usize,
) -> Result<Box<dyn Model>> {
    let tokenizer = |scope: Scope<'_>| -> Result<Box<dyn Tokenizer>> {
        Ok(match input {
            InputSpec::Image { channels, .. }
                if config.image_tokenizer == ImageTokenizer::Pixels =>
            {
                Box::new(PixelTokenizer::new(channels)?)
            }
            InputSpec::Image {
                channels,
                height,
                width,
            } => Box::new(ConvNextTokenizer::new(
                scope,
                channels,
                height,
                width,
                &config.convnext,
            )?),
            InputSpec::Tokens {
                vocabulary,
                max_len,
                pad,
            } => Box::new(EmbeddingTokenizer::new(
                scope,
                vocabulary,
                max_len,
                pad,
                &config.embedding,
            )?),
        })
    };
    Ok(match config.kind {
        ModelKind::Nac => Box::new(NeuralCircuit::new(
            store,
            &config.circuit,
            classes,
            tokenizer,
        )?),
        ModelKind::PerceiverIo => Box::new(PerceiverIo::new(
            store,
            &config.perceiver_io,
            classes,
            tokenizer,
        )?),
    })
}
