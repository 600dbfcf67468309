//! Each pixel is a token, its channels are the features.

use std::ops::Range;

use ndarray::ArrayView4;

use crate::blocks::Layout;
use crate::blocks::resize;
use crate::circuit::Buffers;
use crate::simd::WIDTH;
use nac_core::model::spec::PixelsSpec;

/// Pixels of images of one size, row by row from the top.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pixels {
    channels: usize,
    height: usize,
    width: usize,
}

impl Pixels {
    pub(super) fn new(spec: &PixelsSpec) -> Self {
        let [height, width] = spec.image;
        Self {
            channels: spec.channels,
            height,
            width,
        }
    }

    pub(super) fn tokens(&self) -> usize {
        self.height * self.width
    }

    pub(super) fn run(
        &self,
        image: &ArrayView4<'_, f32>,
        examples: Range<usize>,
        buffers: &mut Buffers,
    ) {
        let rows = Layout::plain(self.channels).rows();
        let blocks = self.tokens().div_ceil(WIDTH);
        resize(&mut buffers.tokens, examples.len() * blocks * rows);
        for (index, example) in examples.enumerate() {
            let tokens = &mut buffers.tokens[index * blocks * rows..][..blocks * rows];
            for channel in 0..self.channels {
                for y in 0..self.height {
                    for x in 0..self.width {
                        let token = y * self.width + x;
                        let row = &mut tokens[token / WIDTH * rows + channel];
                        row.0[token % WIDTH] = image[[example, channel, y, x]];
                    }
                }
            }
        }
    }
}
