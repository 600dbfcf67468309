//! The projection of messages that closes a branch of attention.

use super::compute::{Compute, Scratch};
use super::finish::Finish;
use super::linear::Linear;
use super::memory::Buffer;
use super::operands::{Items, ProjectionGradient, ProjectionOperand};
use super::partition::{Partition, RowParts, Span};
use super::product::{Epilogue, column_sums, weight_gradient};
use super::rows::{Scale, ScaleBackward};
use super::scale_gradient::ScaleGradient;

/// New states of some rows from their messages.
pub(super) fn exit_rows(
    compute: &Compute,
    (finish, projection): (&Finish<'_>, &ProjectionOperand<'_>),
    block: Span,
    messages: &[f32],
    y: &mut [f32],
    scratch: &mut Scratch,
) {
    let inputs = messages.len() / block.rows.max(1);
    let Some(factor) = projection.scale_rows(inputs) else {
        finish.rows(compute, block, messages, y, &mut scratch.product);
        return;
    };
    let z = scratch.rows.take(messages.len());
    compute.arch().dispatch(Scale {
        x: messages,
        factor,
        first: block.first,
        repeat: 1,
        y: z,
    });
    finish.rows(compute, block, z, y, &mut scratch.product);
}

/// The exit in the backward pass.
#[derive(Debug, Clone, Copy)]
pub(super) struct ExitBackward<'a> {
    pub(super) weight: Linear,
    pub(super) projection: &'a ProjectionOperand<'a>,
    pub(super) items: Items,
    /// `[batch, modules, inputs]`
    pub(super) messages: &'a [f32],
    /// Gradient of the branch, `[batch, modules, outputs]`.
    pub(super) d_branch: &'a [f32],
}

impl ExitBackward<'_> {
    /// Gradients of the projection, and of the messages.
    pub(super) fn run(
        &self,
        compute: &Compute,
        gradient: &mut ProjectionGradient<'_>,
        d_messages: &mut [f32],
        (scaled, d_scale): (&mut Buffer, &mut Buffer),
    ) {
        let (outputs, inputs) = self.weight.widths();
        let packed = self.weight.backward(compute, self.projection.weight);
        let partition = Partition::new(self.items);
        let scale = ScaleGradient::new(self.projection, self.items, inputs, self.items.batch);
        let factor = self.projection.scale_rows(inputs);
        let len = if factor.is_some() {
            self.messages.len()
        } else {
            0
        };
        let scaled = scaled.take(len);
        let parts = (
            partition.rows(&mut *d_messages, inputs),
            partition.rows(&mut *scaled, if len == 0 { 0 } else { inputs }),
            scale.parts(gradient.scale.as_deref_mut(), d_scale),
        );
        compute.each(
            partition.parts(),
            parts,
            |index, (d_messages, scaled, sums), scratch| {
                let span = partition.span(index);
                let (d_messages, scaled) = (d_messages.into_slice(), scaled.into_slice());
                let mut sums = sums.map(RowParts::into_slice);
                if let Some(sums) = &mut sums {
                    sums.fill(0.0);
                }
                for block in span.blocks() {
                    let d_branch = &self.d_branch[block.within(0, outputs)];
                    let own = block.within(span.first, inputs);
                    let d_messages = &mut d_messages[own.clone()];
                    let Some((factor, sums)) = factor.zip(sums.as_deref_mut()) else {
                        let scratch = &mut scratch.product;
                        packed.product(d_branch, d_messages, Epilogue::default(), scratch);
                        continue;
                    };
                    let x = &self.messages[block.within(0, inputs)];
                    let d_z = scratch.rows.take(d_messages.len());
                    packed.product(d_branch, d_z, Epilogue::default(), &mut scratch.product);
                    compute.arch().dispatch(Scale {
                        x,
                        factor,
                        first: block.first,
                        repeat: 1,
                        y: &mut scaled[own],
                    });
                    compute.arch().dispatch(ScaleBackward {
                        d_z,
                        x,
                        factor,
                        first: block.first,
                        repeat: 1,
                        d_x: d_messages,
                        add: false,
                        d_factor: sums,
                        first_sum: block.first - span.first,
                    });
                }
            },
        );
        drop(packed);
        let z = if len == 0 { self.messages } else { &*scaled };
        let sizes = (self.items.rows(), outputs, inputs);
        weight_gradient(compute, self.d_branch, z, sizes, gradient.weight);
        if let Some(bias) = gradient.bias.as_deref_mut() {
            column_sums(compute, self.d_branch, bias);
        }
        scale.sum(compute, gradient.scale.as_deref_mut(), d_scale);
    }
}
