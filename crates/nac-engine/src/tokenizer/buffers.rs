//! Memory that tokenizers work in.

use crate::simd::Row;

/// Buffers that tokenizers keep between passes.
#[derive(Debug, Default)]
pub(crate) struct TokenizerBuffers {
    /// Maps after each stage, in blocks.
    pub(crate) maps: [Vec<Row>; 2],
    /// Normalized pixels.
    pub(crate) pixels: Vec<f32>,
    /// Planes of channels.
    pub(crate) planes: Vec<f32>,
}
