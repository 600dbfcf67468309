//! What tokenizers of single inputs keep between passes.

use crate::simd::Row;

/// Buffers of the tokenizer of one input.
#[derive(Debug, Default)]
pub(super) struct InputBuffers {
    /// Maps after each stage, in blocks.
    pub(super) maps: [Vec<Row>; 2],
    /// Normalized pixels.
    pub(super) pixels: Vec<f32>,
    /// Planes of channels.
    pub(super) planes: Vec<f32>,
}
