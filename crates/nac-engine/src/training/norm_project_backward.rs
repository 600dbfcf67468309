//! The backward pass of [`NormProject`] over all rows.

use super::compute::{Chunks, Compute};
use super::memory::ProjectMemory;
use super::norm_project::{BackwardRows, NormProject, NormProjectOperands};
use super::operands::{NormGradient, ProjectionGradient, States};
use super::partition::{Partition, RowParts, Span, sum_parts};
use super::product::{column_sums, weight_gradient};
use super::rows::AddTo;
use super::scale_gradient::ScaleGradient;
use crate::error::Result;

/// Gradients of [`NormProjectOperands`].
pub(super) struct NormProjectGradients<'a, 'b, const N: usize> {
    /// As the states.
    pub(super) states: Option<&'a mut [f32]>,
    pub(super) norm: NormGradient<'a>,
    pub(super) projections: [&'a mut ProjectionGradient<'b>; N],
}

/// Parts of what the backward pass writes.
pub(super) type BackwardParts<'a, const N: usize> = (
    RowParts<'a>,
    [RowParts<'a>; N],
    [Option<RowParts<'a>>; N],
    Chunks<'a, f32>,
);

/// One of [`BackwardParts`].
pub(super) struct BackwardPart<'a, const N: usize> {
    span: Span,
    features: usize,
    d_states: &'a mut [f32],
    scaled: [&'a mut [f32]; N],
    d_scales: [Option<&'a mut [f32]>; N],
    d_norm: &'a mut [f32],
}

impl<'a, const N: usize> BackwardPart<'a, N> {
    /// Starts the sums of a part with zero.
    pub(super) fn new(
        span: Span,
        features: usize,
        (d_states, scaled, d_scales, d_norm): BackwardParts<'a, N>,
    ) -> Self {
        let zeroed = |sums: &'a mut [f32]| {
            sums.fill(0.0);
            sums
        };
        Self {
            span,
            features,
            d_states: d_states.into_slice(),
            scaled: scaled.map(RowParts::into_slice),
            d_scales: d_scales.map(|sums| sums.map(|sums| zeroed(sums.into_slice()))),
            d_norm: zeroed(d_norm.into_slice()),
        }
    }

    /// What belongs to some of its rows.
    pub(super) fn block<'c>(
        &'c mut self,
        block: Span,
        statistics: &'c [f32],
        d_outputs: [&'c [f32]; N],
        added: Option<&'c [f32]>,
    ) -> BackwardRows<'c, N> {
        let rows = block.within(self.span.first, self.features);
        BackwardRows {
            statistics,
            d_outputs,
            added,
            d_states: &mut self.d_states[rows.clone()],
            scaled: self.scaled.each_mut().map(|scaled| {
                if scaled.is_empty() {
                    &mut []
                } else {
                    &mut scaled[rows.clone()]
                }
            }),
            d_scales: self.d_scales.each_mut().map(Option::as_deref_mut),
            first_sum: block.first - self.span.first,
            d_norm: self.d_norm,
        }
    }
}

impl<const N: usize> NormProject<N> {
    /// Refuses gradients that are not like the operands.
    pub(super) fn check_gradients(
        &self,
        op: &'static str,
        operands: &NormProjectOperands<'_, N>,
        gradients: &NormProjectGradients<'_, '_, N>,
    ) -> Result<()> {
        if let Some(states) = &gradients.states {
            let states = States {
                values: states,
                shared: operands.states.shared,
            };
            states.check(op, "gradient of the states", self.all, self.features)?;
        }
        gradients.norm.check(op, self.features)?;
        let mut projections = gradients.projections.iter().zip(&operands.projections);
        projections.try_for_each(|(gradient, of)| gradient.check(op, of))
    }

    /// Everything from the gradients of the results, `[batch, modules, outputs]` or `[modules, outputs]` as the results are.
    /// `d_y`, `[batch, modules, features]`, is added to the gradient of the states.
    pub(super) fn backward(
        &self,
        compute: &Compute,
        operands: &NormProjectOperands<'_, N>,
        d_outputs: [&[f32]; N],
        d_y: Option<&[f32]>,
        gradients: &mut NormProjectGradients<'_, '_, N>,
        memory: &mut ProjectMemory,
    ) {
        let items = self.items(operands);
        let partition = Partition::new(items);
        let mut sum = std::mem::take(&mut memory.added);
        let added = d_y.map(|d_y| {
            if items.batch == self.all.batch {
                return d_y;
            }
            let sum = sum.take(items.rows() * self.features);
            sum_parts(compute, d_y, sum);
            &*sum
        });
        let pass = self.backward_pass(compute, operands);
        let parts = self.parts(operands, gradients, memory);
        compute.each(partition.parts(), parts, |index, part, scratch| {
            let span = partition.span(index);
            let mut part = BackwardPart::new(span, self.features, part);
            for block in span.blocks() {
                let mut widths = self.weights.iter().map(|weight| weight.widths().0);
                let d_outputs =
                    d_outputs.map(|all| &all[block.within(0, widths.next().unwrap_or(0))]);
                let added = added.map(|added| &added[block.within(0, self.features)]);
                let statistics = &self.statistics[block.within(0, 2)];
                let part = part.block(block, statistics, d_outputs, added);
                pass.backward_rows(block, part, scratch);
            }
        });
        drop(pass);
        memory.added = sum;
        self.finish(compute, operands, d_outputs, gradients, memory);
    }

    /// What a parallel loop over rows writes, in parts.
    pub(super) fn parts<'a>(
        &self,
        operands: &NormProjectOperands<'_, N>,
        gradients: &'a mut NormProjectGradients<'_, '_, N>,
        memory: &'a mut ProjectMemory,
    ) -> BackwardParts<'a, N> {
        let items = self.items(operands);
        let (partition, len) = (Partition::new(items), items.rows() * self.features);
        let ProjectMemory {
            d_states,
            scaled,
            d_scales,
            d_norm,
            ..
        } = memory;
        let summed = operands.states.shared && items.batch > 1;
        let d_states = match gradients.states.as_deref_mut() {
            Some(states) if !summed => states,
            _ => d_states.take(len),
        };
        let mut buffers = scaled.iter_mut().enumerate();
        let scaled = std::array::from_fn(|_| match buffers.next() {
            Some((index, buffer)) if self.same_as(operands, index) == index => {
                partition.rows(buffer.take(len), self.features)
            }
            _ => partition.rows(&mut [], 0),
        });
        let mut buffers = d_scales.iter_mut().zip(gradients.projections.iter_mut());
        let mut projections = operands.projections.iter();
        let d_scales = std::array::from_fn(|_| {
            let (buffer, gradient) = buffers.next()?;
            let scale =
                ScaleGradient::new(projections.next()?, self.all, self.features, items.batch);
            scale.parts(gradient.scale.as_deref_mut(), buffer)
        });
        let d_norm = d_norm.take(partition.parts() * 2 * self.features);
        let d_norm = Chunks::new(d_norm, 2 * self.features);
        (
            partition.rows(d_states, self.features),
            scaled,
            d_scales,
            d_norm,
        )
    }

    /// The gradients of weights, and sums over parts, after the loop over rows.
    pub(super) fn finish(
        &self,
        compute: &Compute,
        operands: &NormProjectOperands<'_, N>,
        d_outputs: [&[f32]; N],
        gradients: &mut NormProjectGradients<'_, '_, N>,
        memory: &mut ProjectMemory,
    ) {
        let items = self.items(operands);
        let (partition, features) = (Partition::new(items), self.features);
        let len = items.rows() * features;
        if operands.states.shared
            && items.batch > 1
            && let Some(states) = gradients.states.as_deref_mut()
        {
            sum_parts(compute, memory.d_states.take(len), states);
        }
        let sums = memory.d_norm.take(partition.parts() * 2 * features);
        norm_gradient(compute, sums, &mut gradients.norm);
        for (index, gradient) in gradients.projections.iter_mut().enumerate() {
            let scaled = memory.scaled[self.same_as(operands, index)].take(len);
            let (outputs, inputs) = self.weights[index].widths();
            let sizes = (items.rows(), outputs, inputs);
            weight_gradient(compute, d_outputs[index], scaled, sizes, gradient.weight);
            if let Some(bias) = gradient.bias.as_deref_mut() {
                column_sums(compute, d_outputs[index], bias);
            }
            let of = &operands.projections[index];
            let scale = ScaleGradient::new(of, self.all, features, items.batch);
            let sums = &mut memory.d_scales[index];
            scale.sum(compute, gradient.scale.as_deref_mut(), sums);
        }
    }

    /// The first projection that reads the same scaled states.
    fn same_as(&self, operands: &NormProjectOperands<'_, N>, index: usize) -> usize {
        let plain = |index: &usize| operands.projections[*index].scale.is_none();
        if plain(&index) {
            (0..index).find(plain).unwrap_or(index)
        } else {
            index
        }
    }
}

/// Gradients of gain and bias from their sums, part by part.
pub(super) fn norm_gradient(compute: &Compute, sums: &[f32], gradient: &mut NormGradient<'_>) {
    let features = gradient.gain.len();
    gradient.gain.fill(0.0);
    gradient.bias.fill(0.0);
    for part in sums.chunks_exact(2 * features) {
        let (gain, bias) = part.split_at(features);
        let (to_gain, to_bias) = (&mut *gradient.gain, &mut *gradient.bias);
        compute.arch().dispatch(AddTo {
            x: gain,
            y: to_gain,
        });
        compute.arch().dispatch(AddTo {
            x: bias,
            y: to_bias,
        });
    }
}
