//! A weight that is packed once per step.

use super::compute::Compute;
use super::operands::Widths;
use super::product::PackedWeight;

/// The packed weight of a projection.
#[derive(Debug)]
pub(super) struct Linear {
    widths: Widths,
    packed: Option<PackedWeight>,
}

impl Linear {
    pub(super) fn new(widths: Widths) -> Self {
        Self {
            widths,
            packed: None,
        }
    }

    /// Outputs and inputs.
    pub(super) fn widths(&self) -> Widths {
        self.widths
    }

    pub(super) fn outputs(&self) -> usize {
        self.widths.0
    }

    /// Packs a weight of the right size.
    pub(super) fn pack(&mut self, compute: &Compute, weight: &[f32]) {
        let packed = self
            .packed
            .get_or_insert_with(|| PackedWeight::new(compute));
        packed.pack(compute, weight, self.widths.0, self.widths.1);
    }

    /// What [`Linear::pack`] packed.
    pub(super) fn packed(&self) -> &PackedWeight {
        match &self.packed {
            Some(packed) => packed,
            None => unreachable!("blocks pack their weights before they start"),
        }
    }
}
