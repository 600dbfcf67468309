//! What a model reads, as plain arrays.

use ndarray::{ArrayView2, ArrayView4};

use super::error::{EngineError, Result};

/// A batch of inputs.
#[derive(Debug, Clone, Copy)]
pub enum Input<'a> {
    /// Images, `[batch, channels, height, width]`, scaled as in training.
    Image(ArrayView4<'a, f32>),
    /// Sequences of symbols, `[batch, length]`; the padding symbol at the end of shorter ones.
    Tokens(ArrayView2<'a, i64>),
}

impl<'a> Input<'a> {
    /// Number of examples.
    #[must_use]
    pub fn batch(&self) -> usize {
        match self {
            Self::Image(image) => image.dim().0,
            Self::Tokens(tokens) => tokens.nrows(),
        }
    }

    fn found(&self) -> String {
        match self {
            Self::Image(image) => format!("an image batch {:?}", image.shape()),
            Self::Tokens(tokens) => format!("a batch of sequences {:?}", tokens.shape()),
        }
    }

    pub(crate) fn refused(&self, expected: String) -> EngineError {
        EngineError::Input {
            op: "Engine::infer",
            expected,
            found: self.found(),
        }
    }

    /// The images, if they have this size.
    pub(crate) fn image(
        &self,
        (channels, height, width): (usize, usize, usize),
    ) -> Result<ArrayView4<'a, f32>> {
        match self {
            Self::Image(image) if image.shape()[1..] == [channels, height, width] => Ok(*image),
            _ => Err(self.refused(format!("images [batch, {channels}, {height}, {width}]"))),
        }
    }

    /// The sequences, if they are not too long.
    pub(crate) fn tokens(&self, max_len: usize) -> Result<ArrayView2<'a, i64>> {
        match self {
            Self::Tokens(tokens) if (1..=max_len).contains(&tokens.ncols()) => Ok(*tokens),
            _ => Err(self.refused(format!("sequences [batch, 1..={max_len}]"))),
        }
    }
}
