//! The end of a branch: `y = [x +] keep · (W z + b)`.

use super::compute::{Chunks, Compute};
use super::memory::Buffer;
use super::operands::Items;
use super::partition::Span;
use super::product::{Epilogue, PackedWeight};
use super::rows::{Combine, Rows};

/// The last projection of a branch, and what it is added to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Finish<'a> {
    pub(super) weight: &'a PackedWeight<'a>,
    /// Width of the result.
    pub(super) width: usize,
    pub(super) bias: Option<&'a [f32]>,
    /// The states that the branch is added to.
    pub(super) states: Option<Rows<'a>>,
    /// One factor for each example.
    pub(super) keep: Option<&'a [f32]>,
    pub(super) items: Items,
}

impl Finish<'_> {
    /// `y` of some rows.
    pub(super) fn rows(
        &self,
        compute: &Compute,
        block: Span,
        z: &[f32],
        y: &mut [f32],
        scratch: &mut Buffer,
    ) {
        let width = self.width;
        let product = |add, y: &mut [f32], scratch: &mut Buffer| {
            let epilogue = Epilogue {
                bias: self.bias,
                add,
            };
            self.weight.product(z, y, epilogue, scratch);
        };
        let Some(keep) = self.keep else {
            if let Some(states) = self.states {
                for (at, x) in states.stretches(block.first, block.rows) {
                    y[at..at + x.len()].copy_from_slice(x);
                }
            }
            product(self.states.is_some(), y, scratch);
            return;
        };
        product(false, y, scratch);
        for (example, part) in block.examples(self.items.modules) {
            compute.arch().dispatch(Combine {
                x: self.states,
                first: part.first,
                factor: keep[example],
                y: &mut y[part.within(block.first, width)],
                width,
            });
        }
    }
}

/// The gradient of the branch: that of `y`, times the factor of each example if there is one.
pub(super) fn branch_gradient<'a>(
    compute: &Compute,
    keep: Option<&[f32]>,
    d_y: &'a [f32],
    memory: &'a mut Buffer,
) -> &'a [f32] {
    let Some(keep) = keep else { return d_y };
    let size = d_y.len() / keep.len().max(1);
    let d_branch = memory.take(d_y.len());
    let parts = Chunks::new(&mut *d_branch, size);
    compute.each(keep.len(), parts, |example, part, _| {
        let part = part.into_slice();
        part.copy_from_slice(&d_y[example * size..(example + 1) * size]);
        compute.arch().dispatch(Combine {
            x: None,
            first: 0,
            factor: keep[example],
            y: part,
            width: size,
        });
    });
    d_branch
}
