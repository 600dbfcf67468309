//! Feed-forward block: layer norm, projection, GELU or GEGLU, projection, residual.

use super::compute::Compute;
use super::finish::{Finish, branch_gradient};
use super::linear::Linear;
use super::memory::{FinishMemory, Workspace};
use super::norm_project::{NormProject, NormProjectOperands};
use super::norm_project_backward::{BackwardPart, BackwardParts, NormProjectGradients};
use super::operands::{
    Items, NormGradient, NormOperand, ProjectionGradient, ProjectionOperand, States, check_keep,
    check_sizes, no_forward,
};
use super::partition::{Partition, RowParts};
use super::product::{Epilogue, column_sums, weight_gradient};
use super::rows::{Activate, ActivateBackward, FactorBackward};
use super::scale_gradient::ScaleGradient;
use crate::error::{EngineError, Result};

const OP: &str = "FeedForward";

/// What is between the two projections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FeedForwardActivation {
    /// `value ⊙ GELU(gate)`, where the first projection gives values, then as many gates.
    Geglu,
    /// `GELU`, exact.
    Gelu,
}

/// Sizes and settings of a [`FeedForward`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeedForwardShape {
    /// Number of examples.
    pub batch: usize,
    /// Number of modules.
    pub modules: usize,
    /// Width of the states.
    pub state: usize,
    /// Width after the activation; GEGLU expands to twice as many.
    pub hidden: usize,
    /// What is between the projections.
    pub activation: FeedForwardActivation,
    /// Whether the result is added to the states.
    pub residual: bool,
}

impl FeedForwardShape {
    /// Outputs of the first projection.
    pub fn expanded(&self) -> usize {
        self.hidden << usize::from(self.gated())
    }

    fn gated(&self) -> bool {
        self.activation == FeedForwardActivation::Geglu
    }

    fn items(&self) -> Items {
        Items {
            batch: self.batch,
            modules: self.modules,
        }
    }
}

/// Operands of a [`FeedForward`].
#[derive(Debug, Clone, Copy)]
pub struct FeedForwardOperands<'a> {
    /// `[batch, modules, state]`
    pub states: &'a [f32],
    /// Layer norm of the states.
    pub norm: NormOperand<'a>,
    /// From the states to [`FeedForwardShape::expanded`].
    pub expand: ProjectionOperand<'a>,
    /// From `hidden` to the states.
    pub contract: ProjectionOperand<'a>,
    /// `[batch]`: factor of the branch of each example (drop-path).
    pub keep: Option<&'a [f32]>,
}

/// Gradients of [`FeedForwardOperands`], overwritten.
#[derive(Debug)]
pub struct FeedForwardGradients<'a> {
    /// As the states, if it is wanted.
    pub states: Option<&'a mut [f32]>,
    /// Of the layer norm.
    pub norm: NormGradient<'a>,
    /// Of the first projection.
    pub expand: ProjectionGradient<'a>,
    /// Of the second projection.
    pub contract: ProjectionGradient<'a>,
}

/// Parts of the gradients: of norm and first projection, of its results, of the second one's operand, and of its scale.
type Parts<'a> = (
    BackwardParts<'a, 1>,
    RowParts<'a>,
    RowParts<'a>,
    Option<RowParts<'a>>,
);

/// `y = [x +] keep · (W₂ (act(W₁ (LN(x) ⊙ s₁) + b₁) ⊙ s₂) + b₂)`, forward and backward.
///
/// Keeps the results of the first projection and the statistics of the norm.
#[derive(Debug)]
pub struct FeedForward {
    shape: FeedForwardShape,
    expand: NormProject<1>,
    contract: Linear,
    /// `[batch, modules, expanded]`; the backward pass replaces it by its gradient.
    pre: Vec<f32>,
    ready: bool,
}

impl FeedForward {
    /// The block of `shape`.
    ///
    /// # Errors
    /// A size is zero.
    pub fn new(shape: FeedForwardShape) -> Result<Self> {
        let FeedForwardShape {
            batch,
            modules,
            state,
            hidden,
            ..
        } = shape;
        let sizes = [
            ("batch", batch),
            ("modules", modules),
            ("state", state),
            ("hidden", hidden),
        ];
        check_sizes(OP, &sizes)?;
        Ok(Self {
            shape,
            expand: NormProject::new(shape.items(), state, [shape.expanded()]),
            contract: Linear::new((state, hidden)),
            pre: Vec::new(),
            ready: false,
        })
    }

    /// Sizes and settings.
    pub fn shape(&self) -> FeedForwardShape {
        self.shape
    }

    /// New states.
    ///
    /// # Shapes
    /// - y: `[batch, modules, state]`
    ///
    /// # Errors
    /// A slice has another shape.
    pub fn forward(
        &mut self,
        compute: &Compute,
        operands: &FeedForwardOperands<'_>,
        y: &mut [f32],
    ) -> Result<()> {
        self.check(operands)?;
        let FeedForwardShape { state, hidden, .. } = self.shape;
        let (items, width) = (self.shape.items(), self.shape.expanded());
        EngineError::check_length(OP, "y", y.len(), &[items.batch, items.modules, state])?;
        let normed = normed(operands);
        let expand = self.expand.forward_pass(compute, &normed);
        let contract = self.contract.forward(compute, operands.contract.weight);
        self.pre.resize(items.rows() * width, 0.0);
        let mut statistics = std::mem::take(&mut self.expand.statistics);
        let partition = Partition::new(items);
        let parts = (
            partition.rows(&mut statistics, 2),
            partition.rows(&mut self.pre, width),
            partition.rows(y, state),
        );
        let gated = self.shape.gated();
        let finish = Finish {
            weight: &contract,
            width: state,
            bias: operands.contract.bias,
            states: self.shape.residual.then(|| normed.states.rows(state)),
            keep: operands.keep,
            items,
        };
        compute.each(
            partition.parts(),
            parts,
            |index, (statistics, pre, y), scratch| {
                let span = partition.span(index);
                let [statistics, pre, y] = [statistics, pre, y].map(RowParts::into_slice);
                for block in span.blocks() {
                    let statistics = &mut statistics[block.within(span.first, 2)];
                    let pre = &mut pre[block.within(span.first, width)];
                    let out = [&mut *pre];
                    expand.forward_rows(block, (statistics, out), scratch);
                    let z = scratch.rows.take(block.rows * hidden);
                    compute.arch().dispatch(Activate {
                        pre,
                        gated,
                        factor: operands.contract.scale_rows(hidden),
                        first: block.first,
                        z,
                        hidden,
                    });
                    let y = &mut y[block.within(span.first, state)];
                    finish.rows(compute, block, z, y, &mut scratch.product);
                }
            },
        );
        self.expand.statistics = statistics;
        self.ready = true;
        Ok(())
    }

    /// Gradients, after [`Self::forward`] with the same operands.
    ///
    /// # Shapes
    /// - d_y: `[batch, modules, state]`
    ///
    /// # Errors
    /// A slice has another shape, or there was no forward pass since the last backward pass.
    pub fn backward(
        &mut self,
        compute: &Compute,
        operands: &FeedForwardOperands<'_>,
        d_y: &[f32],
        gradients: &mut FeedForwardGradients<'_>,
    ) -> Result<()> {
        self.check(operands)?;
        let items = self.shape.items();
        let expected = [items.batch, items.modules, self.shape.state];
        EngineError::check_length(OP, "gradient of y", d_y.len(), &expected)?;
        gradients.contract.check(OP, &operands.contract)?;
        let mut outer = NormProjectGradients {
            states: gradients.states.as_deref_mut(),
            norm: gradients.norm.reborrow(),
            projections: [&mut gradients.expand],
        };
        self.expand.check_gradients(OP, &normed(operands), &outer)?;
        if !std::mem::take(&mut self.ready) {
            return Err(no_forward(OP));
        }
        compute.with_workspace(|workspace| {
            self.gradients(
                compute,
                (operands, d_y),
                &mut outer,
                &mut gradients.contract,
                workspace,
            );
        });
        Ok(())
    }

    fn gradients(
        &mut self,
        compute: &Compute,
        (operands, d_y): (&FeedForwardOperands<'_>, &[f32]),
        outer: &mut NormProjectGradients<'_, '_, 1>,
        contract: &mut ProjectionGradient<'_>,
        workspace: &mut Workspace,
    ) {
        let (state, hidden) = (self.shape.state, self.shape.hidden);
        let (items, width) = (self.shape.items(), self.shape.expanded());
        let FinishMemory {
            d_branch,
            scaled,
            d_scale,
        } = &mut workspace.finish;
        let d_branch = branch_gradient(compute, operands.keep, d_y, d_branch);
        let (partition, normed) = (Partition::new(items), normed(operands));
        let scale = ScaleGradient::new(&operands.contract, items, hidden, items.batch);
        let z = scaled.take(items.rows() * hidden);
        let mut pre = std::mem::take(&mut self.pre);
        let parts = (
            self.expand.parts(&normed, outer, &mut workspace.receivers),
            partition.rows(&mut pre, width),
            partition.rows(&mut *z, hidden),
            scale.parts(contract.scale.as_deref_mut(), d_scale),
        );
        self.gradients_of_rows(compute, operands, (d_y, d_branch), parts);
        self.pre = pre;
        let sizes = (items.rows(), state, hidden);
        weight_gradient(compute, d_branch, z, sizes, contract.weight);
        if let Some(bias) = contract.bias.as_deref_mut() {
            column_sums(compute, d_branch, bias);
        }
        scale.sum(compute, contract.scale.as_deref_mut(), d_scale);
        let memory = &mut workspace.receivers;
        self.expand
            .finish(compute, &normed, [&self.pre], outer, memory);
    }

    /// From the gradient of the branch back to the states, part by part.
    fn gradients_of_rows(
        &self,
        compute: &Compute,
        operands: &FeedForwardOperands<'_>,
        (d_y, d_branch): (&[f32], &[f32]),
        parts: Parts<'_>,
    ) {
        let (state, hidden) = (self.shape.state, self.shape.hidden);
        let (partition, normed) = (Partition::new(self.shape.items()), normed(operands));
        let (gated, width) = (self.shape.gated(), self.shape.expanded());
        let expand = self.expand.backward_pass(compute, &normed);
        let contract = self.contract.backward(compute, operands.contract.weight);
        compute.each(partition.parts(), parts, |index, parts, scratch| {
            let span = partition.span(index);
            let (part, pre, z, sums) = parts;
            let mut part = BackwardPart::new(span, state, part);
            let (pre, z) = (pre.into_slice(), z.into_slice());
            let mut sums = sums.map(RowParts::into_slice);
            if let Some(sums) = &mut sums {
                sums.fill(0.0);
            }
            for block in span.blocks() {
                let z = &mut z[block.within(span.first, hidden)];
                let pre = &mut pre[block.within(span.first, width)];
                let d_branch = &d_branch[block.within(0, state)];
                contract.product(d_branch, z, Epilogue::default(), &mut scratch.product);
                let factor = operands.contract.scale_rows(hidden);
                let factor = factor.zip(sums.as_deref_mut());
                compute.arch().dispatch(ActivateBackward {
                    pre,
                    gated,
                    z,
                    hidden,
                    factor: factor.map(|(factor, d_factor)| FactorBackward {
                        factor,
                        first: block.first,
                        d_factor,
                        first_sum: block.first - span.first,
                    }),
                });
                let statistics = &self.expand.statistics[block.within(0, 2)];
                let added = self.shape.residual.then(|| &d_y[block.within(0, state)]);
                let part = part.block(block, statistics, [&*pre], added);
                expand.backward_rows(block, part, scratch);
            }
        });
    }

    fn check(&self, operands: &FeedForwardOperands<'_>) -> Result<()> {
        self.expand.check(OP, "states", &normed(operands))?;
        let items = self.shape.items();
        operands.contract.check(OP, items, self.contract.widths())?;
        check_keep(OP, operands.keep, items.batch)
    }
}

/// The operands of norm and first projection.
fn normed<'a>(operands: &FeedForwardOperands<'a>) -> NormProjectOperands<'a, 1> {
    NormProjectOperands {
        states: States {
            values: operands.states,
            shared: false,
        },
        norm: operands.norm,
        projections: [operands.expand],
    }
}
