//! The gradient of a scale: one for each example, or a sum over all of them.

use super::compute::Compute;
use super::memory::Buffer;
use super::operands::{Items, ProjectionOperand};
use super::partition::{Partition, RowParts, sum_parts};

/// The scale of a projection in a parallel loop over the rows of a partition.
#[derive(Debug, Clone, Copy)]
pub(super) struct ScaleGradient {
    partition: Partition,
    /// Rows of the loop.
    rows: usize,
    modules: usize,
    inputs: usize,
    /// Whether all examples have the same scale; none if there is no scale.
    shared: Option<bool>,
}

impl ScaleGradient {
    /// Of `projection`, which has `inputs` inputs, among `items`; the loop runs over `batch` examples of them.
    pub(super) fn new(
        projection: &ProjectionOperand<'_>,
        items: Items,
        inputs: usize,
        batch: usize,
    ) -> Self {
        let looped = Items { batch, ..items };
        Self {
            partition: Partition::new(looped),
            rows: looped.rows(),
            modules: items.modules,
            inputs,
            shared: projection
                .scale
                .map(|_| projection.is_shared(items, inputs)),
        }
    }

    /// Numbers in the sums of all groups of examples.
    fn sums(&self) -> usize {
        self.partition.groups() * self.modules * self.inputs
    }

    /// Where the loop adds the gradient.
    pub(super) fn parts<'a>(
        &self,
        gradient: Option<&'a mut [f32]>,
        memory: &'a mut Buffer,
    ) -> Option<RowParts<'a>> {
        Some(if self.shared? {
            self.partition.sums(memory.take(self.sums()), self.inputs)
        } else {
            let own = gradient.unwrap_or_else(|| memory.take(self.rows * self.inputs));
            self.partition.rows(own, self.inputs)
        })
    }

    /// The sum over examples, after the loop.
    pub(super) fn sum(&self, compute: &Compute, gradient: Option<&mut [f32]>, memory: &mut Buffer) {
        if let (Some(true), Some(gradient)) = (self.shared, gradient) {
            sum_parts(compute, memory.take(self.sums()), gradient);
        }
    }
}
