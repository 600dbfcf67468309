//! Tokenizers: from raw inputs to the tokens that modules read.

mod conv_sequence;
mod conv_stem;
mod convnext;
mod embedding;
mod model_tokenizer;
mod ngrams;
mod patches;
mod pixels;
mod prepare;
mod recurrent;
mod symbols;
mod vectors;

pub use conv_sequence::ConvSequenceTokenizer;
pub use conv_stem::ConvStemTokenizer;
pub use convnext::ConvNextTokenizer;
pub use embedding::EmbeddingTokenizer;
pub use model_tokenizer::ModelTokenizer;
pub(crate) use model_tokenizer::tokenizer;
pub use nac_core::model::{
    ConvNextConfig, ConvSequenceConfig, ConvStemConfig, EmbeddingConfig, FeaturesConfig,
    NgramsConfig, PatchesConfig, PointsConfig, RecurrentConfig, TokenizerConfig, VoxelsConfig,
};
pub use ngrams::NgramTokenizer;
pub use patches::PatchTokenizer;
pub use pixels::PixelTokenizer;
pub use recurrent::RecurrentTokenizer;
pub use vectors::VectorTokenizer;

use crate::context::ForwardContext;
use crate::error::Result;
use crate::inputs::Inputs;
use crate::tokens::Tokens;

/// Makes tokens from one or more named inputs.
pub trait Tokenizer {
    /// Dimension of the tokens.
    fn token_dim(&self) -> usize;

    /// The inputs as the model computes with them, for [`tokenize`](Self::tokenize) and for circuit generators. As
    /// they are, unless a tokenizer checks or normalizes them.
    ///
    /// # Errors
    /// The inputs are not those that the model reads.
    fn prepare(&self, inputs: &Inputs) -> Result<Inputs> {
        Ok(inputs.shallow_clone())
    }

    /// Tokens of a batch of prepared inputs.
    ///
    /// # Shapes
    /// - inputs: whatever the tokenizer documents
    /// - output: `[batch, tokens, token_dim]`
    ///
    /// # Errors
    /// An input is missing or has a wrong shape.
    fn tokenize(&self, inputs: &Inputs, ctx: &mut ForwardContext<'_>) -> Result<Tokens>;
}
