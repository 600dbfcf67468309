//! The tokenizer of a whole model: prepares its inputs and makes tokens of them.

use nac_core::model::{ImageTokenizer, InputKind, InputSpec, ModelConfig};

use super::prepare::Preparation;
use super::{ConvNextTokenizer, EmbeddingTokenizer, PixelTokenizer, Tokenizer};
use crate::context::ForwardContext;
use crate::error::{ModuleError, Result};
use crate::inputs::Inputs;
use crate::params::Scope;
use crate::tokens::Tokens;

/// Tokens of the inputs that an [`InputSpec`] names.
pub struct ModelTokenizer {
    preparation: Preparation,
    tokenizer: Box<dyn Tokenizer>,
}

impl std::fmt::Debug for ModelTokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ModelTokenizer")
            .field("preparation", &self.preparation)
            .finish_non_exhaustive()
    }
}

impl ModelTokenizer {
    /// The tokenizer that settings choose for inputs.
    ///
    /// # Errors
    /// A setting is out of range or does not suit an input, or a name is taken.
    pub fn new(scope: Scope<'_>, config: &ModelConfig, inputs: &InputSpec) -> Result<Self> {
        let preparation = Preparation::new(inputs, scope.device())?;
        let Some((name, kind)) = inputs.iter().next().filter(|_| inputs.len() == 1) else {
            return Err(ModuleError::Setting {
                name: "inputs".into(),
                value: inputs.len().to_string(),
                reason: "one input is read".into(),
            });
        };
        let tokenizer: Box<dyn Tokenizer> = match *kind {
            InputKind::Image { channels, .. }
                if config.image_tokenizer == ImageTokenizer::Pixels =>
            {
                Box::new(PixelTokenizer::new(channels)?.reading(name))
            }
            InputKind::Image {
                channels,
                height,
                width,
                ..
            } => {
                let config = &config.convnext;
                let built = ConvNextTokenizer::new(scope, channels, height, width, config)?;
                Box::new(built.reading(name))
            }
            InputKind::Tokens {
                vocabulary,
                max_len,
                pad,
            } => {
                let config = &config.embedding;
                let built = EmbeddingTokenizer::new(scope, vocabulary, max_len, pad, config)?;
                Box::new(built.reading(name))
            }
            _ => {
                return Err(ModuleError::Setting {
                    name: format!("inputs.{name}.kind"),
                    value: kind.name().into(),
                    reason: "there is no tokenizer for this kind".into(),
                });
            }
        };
        Ok(Self {
            preparation,
            tokenizer,
        })
    }
}

impl Tokenizer for ModelTokenizer {
    fn token_dim(&self) -> usize {
        self.tokenizer.token_dim()
    }

    fn prepare(&self, inputs: &Inputs) -> Result<Inputs> {
        self.preparation.prepare(inputs)
    }

    fn tokenize(&self, inputs: &Inputs, ctx: &mut ForwardContext<'_>) -> Result<Tokens> {
        self.tokenizer.tokenize(inputs, ctx)
    }
}
