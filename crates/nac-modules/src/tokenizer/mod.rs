//! Tokenizers: from raw inputs to the tokens that modules read.

mod convnext;
mod embedding;
mod pixels;

pub use convnext::ConvNextTokenizer;
pub use embedding::EmbeddingTokenizer;
pub use nac_core::model::{ConvNextConfig, EmbeddingConfig};
pub use pixels::PixelTokenizer;

use crate::context::ForwardContext;
use crate::error::Result;
use crate::inputs::Inputs;
use crate::tokens::Tokens;

/// Makes tokens from one or more named inputs.
pub trait Tokenizer {
    /// Dimension of the tokens.
    fn token_dim(&self) -> usize;

    /// Tokens of a batch.
    ///
    /// # Shapes
    /// - inputs: whatever the tokenizer documents
    /// - output: `[batch, tokens, token_dim]`
    ///
    /// # Errors
    /// An input is missing or has a wrong shape.
    fn tokenize(&self, inputs: &Inputs, ctx: &mut ForwardContext<'_>) -> Result<Tokens>;
}
