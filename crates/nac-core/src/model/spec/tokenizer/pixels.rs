//! The resolved tokenizer that takes each pixel as it is.

use serde::Serialize;

use crate::model::spec::node::Node;

/// Images, each pixel a token; no parameters.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PixelsSpec {
    /// Path of the tokenizer.
    pub path: String,
    /// Channels, which are the features of a token.
    pub channels: usize,
    /// Height and width in pixels.
    pub image: [usize; 2],
}

impl PixelsSpec {
    /// Number of tokens.
    #[must_use]
    pub fn tokens(&self) -> usize {
        self.image[0] * self.image[1]
    }
}

impl Node for PixelsSpec {
    fn path(&self) -> &str {
        &self.path
    }

    fn describe(&self) -> String {
        format!("{} pixels of {}", self.tokens(), self.channels)
    }
}
