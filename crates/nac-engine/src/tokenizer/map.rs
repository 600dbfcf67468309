//! Size of a map of features.

use crate::blocks::Layout;
use crate::simd::WIDTH;

/// Size of a map, whose cells are items.
#[derive(Debug, Clone, Copy)]
pub(super) struct Map {
    pub(super) channels: usize,
    pub(super) height: usize,
    pub(super) width: usize,
}

impl Map {
    pub(super) fn cells(self) -> usize {
        self.height * self.width
    }

    /// Rows of a block.
    pub(super) fn rows(self) -> usize {
        Layout::plain(self.channels).rows()
    }

    /// Rows of all blocks.
    pub(super) fn all_rows(self) -> usize {
        self.cells().div_ceil(WIDTH) * self.rows()
    }
}
