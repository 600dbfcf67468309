//! The weight of a projection, packed for one pass.

use super::compute::Compute;
use super::operands::Widths;
use super::product::PackedWeight;

/// The size of a projection's weight.
#[derive(Debug, Clone, Copy)]
pub(super) struct Linear {
    widths: Widths,
}

impl Linear {
    pub(super) fn new(widths: Widths) -> Self {
        Self { widths }
    }

    /// Outputs and inputs.
    pub(super) fn widths(self) -> Widths {
        self.widths
    }

    pub(super) fn outputs(self) -> usize {
        self.widths.0
    }

    /// A weight of the right size, packed for the forward pass.
    pub(super) fn forward<'c>(self, compute: &'c Compute, weight: &[f32]) -> PackedWeight<'c> {
        PackedWeight::forward(compute, weight, self.widths)
    }

    /// A weight of the right size, packed for the backward pass.
    pub(super) fn backward<'c>(self, compute: &'c Compute, weight: &[f32]) -> PackedWeight<'c> {
        PackedWeight::backward(compute, weight, self.widths)
    }
}
