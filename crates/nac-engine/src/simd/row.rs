//! A feature of 32 items, and the same in pairs of bfloat16.

/// Items side by side in one row.
pub(crate) const WIDTH: usize = 32;

/// Rows are computed in groups of this many.
pub(crate) const GROUP: usize = 8;

/// One feature of [`WIDTH`] items.
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C, align(64))]
pub(crate) struct Row(pub(crate) [f32; WIDTH]);

impl Row {
    pub(crate) const ZERO: Self = Self([0.0; WIDTH]);
}

impl AsRef<[f32]> for Row {
    #[inline(always)]
    fn as_ref(&self) -> &[f32] {
        &self.0
    }
}

/// Two neighbouring features of [`WIDTH`] items as bfloat16: the first in the low half of each number.
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C, align(64))]
pub(crate) struct PairRow(pub(crate) [u32; WIDTH]);

impl AsRef<[u32]> for PairRow {
    #[inline(always)]
    fn as_ref(&self) -> &[u32] {
        &self.0
    }
}

/// The next multiple of [`GROUP`]: how many rows `features` take; the surplus rows are zero.
pub(crate) const fn padded(features: usize) -> usize {
    features.div_ceil(GROUP) * GROUP
}
