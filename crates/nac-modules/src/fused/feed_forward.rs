//! ModFFN and the feed-forward block of Perceiver IO as one tape node.

use nac_engine::training::{
    FeedForward, FeedForwardActivation, FeedForwardGradients, FeedForwardOperands, FeedForwardShape,
};
use tch::Tensor;

use super::executor::FusedExecutor;
use super::memory::{Buffer, floats, size_of};
use super::norm::{NormGradients, Normalised};
use super::projection::{Projected, ProjectionGradients, Scale};
use super::slots::Slots;
use crate::error::Result;
use crate::tape::Tape;

const OP: &str = "fused feed-forward block";

/// One call of a block: `[x +] keep · W₂(act(W₁(LN(x) ⊙ s₁) + b₁) ⊙ s₂) + b₂`, with tensors attached to the graph.
#[derive(Debug)]
pub(crate) struct FeedForwardCall {
    /// `[batch, modules, state]`, contiguous.
    pub(crate) states: Tensor,
    pub(crate) norm: Normalised,
    pub(crate) expand: Projected,
    pub(crate) contract: Projected,
    pub(crate) sizes: FeedForwardSizes,
    /// Factor on the branch of each example, `[batch]`.
    pub(crate) keep: Option<Tensor>,
}

/// Sizes and options of a call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FeedForwardSizes {
    pub(crate) batch: i64,
    pub(crate) modules: i64,
    pub(crate) state: i64,
    /// After the activation.
    pub(crate) hidden: i64,
    /// GEGLU; if not GELU.
    pub(crate) gated: bool,
    /// Whether the states are added.
    pub(crate) residual: bool,
}

impl FeedForwardSizes {
    fn shape(self) -> Result<FeedForwardShape> {
        let size = |name, size| size_of(OP, name, size);
        Ok(FeedForwardShape {
            batch: size("batch", self.batch)?,
            modules: size("modules", self.modules)?,
            state: size("state", self.state)?,
            hidden: size("hidden", self.hidden)?,
            activation: if self.gated {
                FeedForwardActivation::Geglu
            } else {
                FeedForwardActivation::Gelu
            },
            residual: self.residual,
        })
    }
}

/// The blocks of one layer.
#[derive(Debug, Default)]
pub(crate) struct FusedFeedForward(Slots<Slot>);

/// The block of one call, with its memory.
#[derive(Debug)]
struct Slot {
    shape: FeedForwardShape,
    block: FeedForward,
    scales: [Scale; 2],
    gradients: Gradients,
    output: Buffer,
}

#[derive(Debug, Default)]
struct Gradients {
    states: Buffer,
    norm: NormGradients,
    expand: ProjectionGradients,
    contract: ProjectionGradients,
}

impl FusedFeedForward {
    /// Runs the block and records it on the tape.
    ///
    /// # Shapes
    /// - output: `[batch, modules, state]`
    pub(crate) fn run(
        &self,
        call: FeedForwardCall,
        executor: &FusedExecutor,
        tape: &mut Tape,
    ) -> Result<Tensor> {
        let shape = call.sizes.shape()?;
        let mut slot = self
            .0
            .borrow(|slot| slot.shape == shape, || Slot::new(shape))?;
        slot.get().forward(&call, executor)?;
        let output = slot.get().output.tensor();
        executor.count_block();
        let executor = executor.clone();
        let inputs = call.inputs();
        let backward = move |gradients: &[Tensor]| {
            let gradient = gradients[0].f_contiguous()?;
            slot.get().backward(&call, &executor, &gradient)
        };
        Ok(tape
            .exclusive_node(inputs, vec![output], backward)?
            .swap_remove(0))
    }
}

impl FeedForwardCall {
    fn inputs(&self) -> Vec<Tensor> {
        let mut inputs = vec![self.states.shallow_clone()];
        self.norm.append_inputs(&mut inputs);
        self.expand.append_inputs(&mut inputs);
        self.contract.append_inputs(&mut inputs);
        inputs
    }

    fn operands<'a>(&'a self, scales: &'a [Scale; 2]) -> Result<FeedForwardOperands<'a>> {
        let keep = self.keep.as_ref();
        Ok(FeedForwardOperands {
            states: floats(OP, "states", &self.states)?,
            norm: self.norm.operand()?,
            expand: scales[0].operand(&self.expand)?,
            contract: scales[1].operand(&self.contract)?,
            keep: keep.map(|keep| floats(OP, "keep", keep)).transpose()?,
        })
    }
}

impl Slot {
    fn new(shape: FeedForwardShape) -> Result<Self> {
        Ok(Self {
            shape,
            block: FeedForward::new(shape)?,
            scales: Default::default(),
            gradients: Gradients::default(),
            output: Buffer::default(),
        })
    }

    fn forward(&mut self, call: &FeedForwardCall, executor: &FusedExecutor) -> Result<()> {
        let compute = executor.compute();
        self.scales[0].compute(&call.expand, compute)?;
        self.scales[1].compute(&call.contract, compute)?;
        let operands = call.operands(&self.scales)?;
        let size = call.states.size();
        let output = self.output.writable(&size, executor.generation())?;
        self.block.forward(compute, &operands, output)?;
        Ok(())
    }

    fn backward(
        &mut self,
        call: &FeedForwardCall,
        executor: &FusedExecutor,
        gradient: &Tensor,
    ) -> Result<Vec<Tensor>> {
        let (compute, generation) = (executor.compute(), executor.generation());
        let to = &mut self.gradients;
        let mut gradients = FeedForwardGradients {
            states: Some(to.states.writable(&call.states.size(), generation)?),
            norm: to.norm.writable(&call.norm, generation)?,
            expand: to.expand.writable(&call.expand, generation)?,
            contract: to.contract.writable(&call.contract, generation)?,
        };
        let operands = call.operands(&self.scales)?;
        let gradient = floats(OP, "gradient", gradient)?;
        self.block
            .backward(compute, &operands, gradient, &mut gradients)?;
        let [expand, contract] = &mut self.scales;
        to.expand
            .of_scale(&call.expand, expand, compute, generation)?;
        to.contract
            .of_scale(&call.contract, contract, compute, generation)?;
        let mut all = vec![to.states.tensor()];
        to.norm.append(&mut all);
        to.expand.append(&call.expand, &mut all);
        to.contract.append(&call.contract, &mut all);
        Ok(all)
    }
}
