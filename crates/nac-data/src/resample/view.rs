//! [`View`]: pixels that are looked at in place.

use std::ops::Range;

/// A part of an image with its channels side by side: rows at equal distances in memory. It has at least one pixel.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    /// From the first pixel on.
    pixels: &'a [u8],
    /// Bytes from one row to the next.
    stride: usize,
    size: [usize; 2],
    channels: usize,
}

impl<'a> View<'a> {
    /// All of `pixels`, which are `[height, width, channels]` with `size = [height, width]`; none without a pixel or if
    /// there are more or fewer bytes.
    pub(crate) fn new(pixels: &'a [u8], channels: usize, size: [usize; 2]) -> Option<Self> {
        let [height, width] = size;
        let stride = width.checked_mul(channels)?;
        let whole = stride.checked_mul(height) == Some(pixels.len()) && !pixels.is_empty();
        whole.then_some(Self {
            pixels,
            stride,
            size,
            channels,
        })
    }

    /// Height and width.
    pub(crate) fn size(&self) -> [usize; 2] {
        self.size
    }

    pub(super) fn channels(&self) -> usize {
        self.channels
    }

    /// Part at `[top, left]` with `size = [height, width]`; none if it is empty or reaches beyond.
    pub(crate) fn window(&self, [top, left]: [usize; 2], size: [usize; 2]) -> Option<Self> {
        let fits = |first: usize, count: usize, all: usize| {
            count > 0 && first.checked_add(count).is_some_and(|end| end <= all)
        };
        if !fits(top, size[0], self.size[0]) || !fits(left, size[1], self.size[1]) {
            return None;
        }
        let pixels = self
            .pixels
            .get(top * self.stride + left * self.channels..)?;
        Some(Self {
            pixels,
            size,
            ..*self
        })
    }

    /// Some of the rows; all of them if the range is empty or reaches beyond.
    #[inline(always)]
    pub(super) fn rows(self, range: Range<usize>) -> Self {
        let [_, width] = self.size;
        self.window([range.start, 0], [range.len(), width])
            .unwrap_or(self)
    }

    /// Some of the columns; all of them if the range is empty or reaches beyond.
    #[inline(always)]
    pub(super) fn columns(self, range: Range<usize>) -> Self {
        let [height, _] = self.size;
        self.window([0, range.start], [height, range.len()])
            .unwrap_or(self)
    }

    /// The bytes of a row.
    #[inline(always)]
    pub(super) fn row(&self, y: usize) -> &'a [u8] {
        let start = y * self.stride;
        let end = start + self.size[1] * self.channels;
        self.pixels.get(start..end).unwrap_or_default()
    }

    pub(super) fn to_vec(self) -> Vec<u8> {
        let [height, width] = self.size;
        let mut all = Vec::with_capacity(height * width * self.channels);
        (0..height).for_each(|y| all.extend_from_slice(self.row(y)));
        all
    }
}
