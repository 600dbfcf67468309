//! Layer norm of states and projections of the result: `y_i = W_i (LN(x) ⊙ s_i) + b_i`.
//!
//! Functions for some rows are called within the parallel loop of a block, so that rows go through all of its
//! operations while they are in the cache. The normalised states are computed again in the backward pass.

use super::compute::{Compute, Scratch};
use super::linear::Linear;
use super::operands::{Items, NormOperand, ProjectionOperand, States};
use super::partition::{Partition, RowParts, Span};
use super::product::{Epilogue, PackedWeight};
use super::rows::{
    AffineBackward, Normalize, NormalizeAgain, NormalizeBackward, Scale, ScaleBackward,
};
use crate::error::Result;

/// `N` projections of the same normalised states, and the statistics of the norm.
#[derive(Debug)]
pub(super) struct NormProject<const N: usize> {
    pub(super) all: Items,
    pub(super) features: usize,
    pub(super) weights: [Linear; N],
    /// Mean and reciprocal deviation of each row.
    pub(super) statistics: Vec<f32>,
}

/// Operands of [`NormProject`].
#[derive(Debug, Clone, Copy)]
pub(super) struct NormProjectOperands<'a, const N: usize> {
    pub(super) states: States<'a>,
    pub(super) norm: NormOperand<'a>,
    pub(super) projections: [ProjectionOperand<'a>; N],
}

/// A forward or backward pass, with weights that are packed for it.
pub(super) struct NormProjectPass<'a, const N: usize> {
    compute: &'a Compute,
    features: usize,
    operands: &'a NormProjectOperands<'a, N>,
    weights: [PackedWeight<'a>; N],
}

/// What the backward pass writes for some rows.
pub(super) struct BackwardRows<'a, const N: usize> {
    pub(super) statistics: &'a [f32],
    /// Gradient of each result.
    pub(super) d_outputs: [&'a [f32]; N],
    /// Added to the gradient of the states.
    pub(super) added: Option<&'a [f32]>,
    pub(super) d_states: &'a mut [f32],
    /// `LN(x) ⊙ s_i`; empty if it is that of an earlier projection.
    pub(super) scaled: [&'a mut [f32]; N],
    /// Sums of the gradient of each scale, and the number of the first row among them.
    pub(super) d_scales: [Option<&'a mut [f32]>; N],
    pub(super) first_sum: usize,
    /// Sums of the gradients of gain and bias, after each other.
    pub(super) d_norm: &'a mut [f32],
}

impl<const N: usize> NormProject<N> {
    /// Of `[batch, modules, features]`; `outputs` are the widths of the results.
    pub(super) fn new(items: Items, features: usize, outputs: [usize; N]) -> Self {
        Self {
            all: items,
            features,
            weights: outputs.map(|outputs| Linear::new((outputs, features))),
            statistics: Vec::new(),
        }
    }

    /// The rows that are computed: those of one example if all examples have the same states and scales.
    pub(super) fn items(&self, operands: &NormProjectOperands<'_, N>) -> Items {
        let shared =
            |projection: &ProjectionOperand<'_>| projection.is_shared(self.all, self.features);
        let same = operands.states.shared && operands.projections.iter().all(shared);
        Items {
            batch: if same { 1 } else { self.all.batch },
            ..self.all
        }
    }

    /// Refuses operands that do not fit.
    pub(super) fn check(
        &self,
        op: &'static str,
        name: &'static str,
        operands: &NormProjectOperands<'_, N>,
    ) -> Result<()> {
        operands.states.check(op, name, self.all, self.features)?;
        operands.norm.check(op, self.features)?;
        for (projection, weight) in operands.projections.iter().zip(&self.weights) {
            projection.check(op, self.all, weight.widths())?;
        }
        Ok(())
    }

    /// Packs the weights for the forward pass, and makes room for the statistics.
    pub(super) fn forward_pass<'a>(
        &mut self,
        compute: &'a Compute,
        operands: &'a NormProjectOperands<'a, N>,
    ) -> NormProjectPass<'a, N> {
        self.statistics.resize(2 * self.items(operands).rows(), 0.0);
        let weight = |i: usize| self.weights[i].forward(compute, operands.projections[i].weight);
        self.pass(compute, operands, std::array::from_fn(weight))
    }

    /// Packs the weights for the backward pass.
    pub(super) fn backward_pass<'a>(
        &self,
        compute: &'a Compute,
        operands: &'a NormProjectOperands<'a, N>,
    ) -> NormProjectPass<'a, N> {
        let weight = |i: usize| self.weights[i].backward(compute, operands.projections[i].weight);
        self.pass(compute, operands, std::array::from_fn(weight))
    }

    fn pass<'a>(
        &self,
        compute: &'a Compute,
        operands: &'a NormProjectOperands<'a, N>,
        weights: [PackedWeight<'a>; N],
    ) -> NormProjectPass<'a, N> {
        NormProjectPass {
            compute,
            features: self.features,
            operands,
            weights,
        }
    }

    /// All results, in a parallel loop of their own.
    pub(super) fn forward(
        &mut self,
        compute: &Compute,
        operands: &NormProjectOperands<'_, N>,
        outputs: [&mut Vec<f32>; N],
    ) {
        let pass = self.forward_pass(compute, operands);
        let items = self.items(operands);
        let partition = Partition::new(items);
        let mut statistics = std::mem::take(&mut self.statistics);
        let mut widths = self.weights.iter().map(|weight| weight.outputs());
        let outputs = outputs.map(|output| {
            let width = widths.next().unwrap_or(0);
            output.resize(items.rows() * width, 0.0);
            partition.rows(output, width)
        });
        let parts = (partition.rows(&mut statistics, 2), outputs);
        compute.each(
            partition.parts(),
            parts,
            |index, (statistics, outputs), scratch| {
                let span = partition.span(index);
                let (statistics, mut outputs) =
                    (statistics.into_slice(), outputs.map(RowParts::into_slice));
                for block in span.blocks() {
                    let mut widths = self.weights.iter().map(|weight| weight.outputs());
                    let outputs = outputs.each_mut().map(|output| {
                        &mut output[block.within(span.first, widths.next().unwrap_or(0))]
                    });
                    let statistics = &mut statistics[block.within(span.first, 2)];
                    pass.forward_rows(block, (statistics, outputs), scratch);
                }
            },
        );
        self.statistics = statistics;
    }
}

impl<const N: usize> NormProjectPass<'_, N> {
    /// Statistics and results of some rows, in the forward pass.
    pub(super) fn forward_rows(
        &self,
        block: Span,
        (statistics, outputs): (&mut [f32], [&mut [f32]; N]),
        scratch: &mut Scratch,
    ) {
        let Self {
            compute, operands, ..
        } = *self;
        let len = block.rows * self.features;
        let [normal, scaled] = scratch.rows.parts([len, len]);
        compute.arch().dispatch(Normalize {
            x: operands.states.rows(self.features),
            first: block.first,
            affine: Some(operands.norm.pair()),
            statistics,
            y: normal,
        });
        let projections = operands.projections.iter().zip(&self.weights);
        for ((projection, weight), output) in projections.zip(outputs) {
            let x = match projection.scale_rows(self.features) {
                Some(factor) => {
                    compute.arch().dispatch(Scale {
                        x: normal,
                        factor,
                        first: block.first,
                        repeat: 1,
                        y: scaled,
                    });
                    &*scaled
                }
                None => &*normal,
            };
            let epilogue = Epilogue {
                bias: projection.bias,
                add: false,
            };
            weight.product(x, output, epilogue, &mut scratch.product);
        }
    }

    /// Gradients of some rows, in the backward pass.
    pub(super) fn backward_rows(
        &self,
        block: Span,
        part: BackwardRows<'_, N>,
        scratch: &mut Scratch,
    ) {
        let Self {
            compute, operands, ..
        } = *self;
        let len = block.rows * self.features;
        let [normal, d_scaled, d_normal] = scratch.rows.parts([len, len, len]);
        let states = operands.states.rows(self.features);
        compute.arch().dispatch(NormalizeAgain {
            x: states,
            first: block.first,
            affine: Some(operands.norm.pair()),
            statistics: part.statistics,
            y: normal,
        });
        let projections = operands.projections.iter().zip(&self.weights);
        let results = part.scaled.into_iter().zip(part.d_scales);
        let each = projections.zip(part.d_outputs).zip(results).enumerate();
        for (index, (((projection, weight), d_output), (scaled, d_scale))) in each {
            let (Some(factor), Some(d_factor)) = (projection.scale_rows(self.features), d_scale)
            else {
                let epilogue = Epilogue {
                    bias: None,
                    add: index > 0,
                };
                weight.product(d_output, d_normal, epilogue, &mut scratch.product);
                if !scaled.is_empty() {
                    scaled.copy_from_slice(normal);
                }
                continue;
            };
            let epilogue = Epilogue::default();
            weight.product(d_output, d_scaled, epilogue, &mut scratch.product);
            compute.arch().dispatch(Scale {
                x: normal,
                factor,
                first: block.first,
                repeat: 1,
                y: scaled,
            });
            compute.arch().dispatch(ScaleBackward {
                d_z: d_scaled,
                x: normal,
                factor,
                first: block.first,
                repeat: 1,
                d_x: d_normal,
                add: index > 0,
                d_factor,
                first_sum: part.first_sum,
            });
        }
        let (d_gain, d_bias) = part.d_norm.split_at_mut(self.features);
        compute.arch().dispatch(NormalizeBackward {
            x: states,
            first: block.first,
            statistics: part.statistics,
            d_y: d_normal,
            added: part.added,
            d_x: part.d_states,
            affine: Some(AffineBackward {
                gain: operands.norm.gain,
                d_gain,
                d_bias,
            }),
        });
    }
}
