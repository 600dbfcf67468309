//! Image tokenizer that takes each pixel as it is: reference `PerceiverIO` with `from_bchw`.

use nac_core::model::spec::PixelsSpec;

use super::Tokenizer;
use crate::context::ForwardContext;
use crate::error::Result;
use crate::inputs::Inputs;
use crate::shape;
use crate::tokens::Tokens;

/// One token per pixel, its channels as features, rows from the top. No parameters.
///
/// Reads the input `image`, or that of [`reading`](Self::reading), `[batch, channels, height, width]`.
#[derive(Debug)]
pub struct PixelTokenizer {
    channels: usize,
    size: i64,
    input: String,
}

impl PixelTokenizer {
    /// The tokenizer of `spec`.
    ///
    /// # Errors
    /// There are no channels.
    pub fn new(spec: &PixelsSpec) -> Result<Self> {
        Ok(Self {
            channels: spec.channels,
            size: shape::positive("channels", spec.channels)?,
            input: "image".into(),
        })
    }

    /// Reads an input of another name.
    #[must_use]
    pub fn reading(mut self, input: impl Into<String>) -> Self {
        self.input = input.into();
        self
    }
}

impl Tokenizer for PixelTokenizer {
    fn token_dim(&self) -> usize {
        self.channels
    }

    fn tokenize(&self, inputs: &Inputs, ctx: &mut ForwardContext<'_>) -> Result<Tokens> {
        let image = inputs.get(&self.input)?;
        let expected = [
            ("batch", None),
            ("channels", Some(self.size)),
            ("height", None),
            ("width", None),
        ];
        shape::check("PixelTokenizer", &self.input, image, &expected)?;
        let tokens = image.flatten(2, 3).transpose(1, 2);
        ctx.record("tokens", &tokens);
        Tokens::new(tokens)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind, Tensor};

    #[test]
    fn pixels_are_tokens_row_by_row() {
        let image = Tensor::arange(12, (Kind::Float, Device::Cpu)).view([1, 2, 2, 3]);
        let spec = |channels| PixelsSpec {
            path: String::new(),
            channels,
            image: [2, 3],
        };
        let tokenizer = PixelTokenizer::new(&spec(2)).unwrap();
        let mut ctx = ForwardContext::evaluation();
        let inputs = Inputs::image(image);
        let tokens = tokenizer.tokenize(&inputs, &mut ctx).unwrap();
        assert_eq!(tokens.values().size(), [1, 6, 2]);
        let fourth = Vec::<f32>::try_from(tokens.values().get(0).get(3)).unwrap();
        assert_eq!(fourth, [3.0, 9.0]);
        assert!(PixelTokenizer::new(&spec(0)).is_err());
    }
}
