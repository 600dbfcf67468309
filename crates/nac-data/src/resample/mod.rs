//! Images to another size with the filters and the arithmetic of PIL, so that results agree.
//!
//! Filters are widened by the ratio when shrinking (antialiasing), weights add up to 1 as integers with 22 binary digits,
//! one axis is resampled after the other, and values are bytes between the two passes. Which axis is first follows Pillow
//! since version 13: the columns if the height shrinks by more than twice as many pixels as the width, else the rows. That
//! also bounds what is between the passes by the larger of source and result.

mod kernel;
mod pass;
mod view;

pub(crate) use kernel::Filter;
pub(crate) use view::View;

use kernel::Kernel;
use pulp::{Simd, WithSimd};

/// Part of a resized image: what is at `[top, left]` of the image resized to `whole`.
///
/// Only this part is computed, with the values that it has in the whole.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grid {
    /// Height and width of the whole resized image.
    pub(crate) whole: [usize; 2],
    /// First row and column that are kept.
    pub(crate) start: [usize; 2],
    /// Rows and columns that are kept.
    pub(crate) size: [usize; 2],
}

impl Grid {
    /// All of an image resized to `size = [height, width]`.
    pub(crate) fn all(size: [usize; 2]) -> Self {
        Self {
            whole: size,
            start: [0; 2],
            size,
        }
    }
}

/// Weights for images of one size, for as many of them as there are.
pub(crate) struct Resampler {
    source: [usize; 2],
    size: [usize; 2],
    /// Weights along rows and along columns; none where the axis stays as it is.
    across: Option<Kernel>,
    down: Option<Kernel>,
    columns_first: bool,
}

impl Resampler {
    /// From images of `source = [height, width]` pixels to the part of `grid`.
    pub(crate) fn new(source: [usize; 2], grid: Grid, filter: Filter) -> Self {
        let kernel = |axis: usize| {
            let same = source[axis] == grid.whole[axis] && source[axis] == grid.size[axis];
            let kept = grid.start[axis]..grid.start[axis].saturating_add(grid.size[axis]);
            (!same).then(|| Kernel::new(source[axis], grid.whole[axis], kept, filter))
        };
        let lost = [0, 1].map(|axis| source[axis] as i128 - grid.whole[axis] as i128);
        Self {
            source,
            size: grid.size,
            down: kernel(0),
            across: kernel(1),
            columns_first: lost[0] > 0 && 2 * lost[1] < lost[0],
        }
    }

    /// The pixels `[height, width, channels]` of the part; empty if the view has another size than [`new`](Self::new) was
    /// told.
    pub(crate) fn run(&self, view: View<'_>) -> Vec<u8> {
        if view.size() != self.source {
            return Vec::new();
        }
        // Wide vector instructions where the processor has them. Integers: the values are the same on all.
        pulp::Arch::new().dispatch(Run {
            resampler: self,
            view,
        })
    }
}

struct Run<'a> {
    resampler: &'a Resampler,
    view: View<'a>,
}

impl WithSimd for Run<'_> {
    type Output = Vec<u8>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) -> Vec<u8> {
        let Self { resampler, view } = self;
        let [height, width] = resampler.size;
        let channels = view.channels();
        match (&resampler.across, &resampler.down) {
            (None, None) => view.to_vec(),
            (Some(across), None) => pass::rows(across, 0, view),
            (None, Some(down)) => pass::columns(down, 0, view),
            (Some(across), Some(down)) if resampler.columns_first => {
                let used = across.span();
                let part = view.columns(used.clone());
                let short = pass::columns(down, 0, part);
                let short = View::new(&short, channels, [height, used.len()]);
                short.map_or_else(Vec::new, |view| pass::rows(across, used.start, view))
            }
            (Some(across), Some(down)) => {
                let used = down.span();
                let part = view.rows(used.clone());
                let narrow = pass::rows(across, 0, part);
                let narrow = View::new(&narrow, channels, [used.len(), width]);
                narrow.map_or_else(Vec::new, |view| pass::columns(down, used.start, view))
            }
        }
    }
}

#[cfg(test)]
mod tests;
