//! Read-in attention as one tape node.

use nac_engine::training::{ReadInAttention, ReadInGradients, ReadInOperands, ReadInShape};
use tch::Tensor;

use super::executor::FusedExecutor;
use super::memory::{Buffer, flags, floats, size_of};
use super::norm::{NormGradients, Normalised};
use super::projection::{Projected, ProjectionGradients, Scale};
use super::slots::Slots;
use super::states::BlockStates;
use crate::error::{ModuleError, Result};
use crate::tape::Tape;

const OP: &str = "fused read-in block";

/// One call, with tensors attached to the graph.
#[derive(Debug)]
pub(crate) struct ReadInCall {
    pub(crate) states: BlockStates,
    /// `[batch, tokens, token_dim]`, contiguous.
    pub(crate) tokens: Tensor,
    /// `[batch, tokens]`, false for padding.
    pub(crate) mask: Option<Tensor>,
    pub(crate) receiver_norm: Normalised,
    pub(crate) sender_norm: Normalised,
    pub(crate) query: Projected,
    pub(crate) key: Projected,
    pub(crate) value: Projected,
    pub(crate) exit: Projected,
    /// Factor on the branch of each example, `[batch]`.
    pub(crate) keep: Option<Tensor>,
    pub(crate) heads: i64,
    pub(crate) head_dim: i64,
    /// Whether the states are added.
    pub(crate) residual: bool,
}

/// The blocks of one layer.
#[derive(Debug, Default)]
pub(crate) struct FusedReadIn(Slots<Slot>);

/// The block of one call, with its memory.
#[derive(Debug)]
struct Slot {
    shape: ReadInShape,
    block: ReadInAttention,
    scales: [Scale; 4],
    mask: Vec<bool>,
    gradients: Gradients,
    output: Buffer,
}

#[derive(Debug, Default)]
struct Gradients {
    states: Buffer,
    tokens: Buffer,
    receiver_norm: NormGradients,
    sender_norm: NormGradients,
    projections: [ProjectionGradients; 4],
}

impl FusedReadIn {
    /// Runs the block and records it on the tape.
    ///
    /// # Shapes
    /// - output: `[batch, modules, state]`
    pub(crate) fn run(
        &self,
        call: ReadInCall,
        executor: &FusedExecutor,
        tape: &mut Tape,
    ) -> Result<Tensor> {
        let shape = call.shape()?;
        let mut slot = self
            .0
            .borrow(|slot| slot.shape == shape, || Slot::new(shape))?;
        slot.get().forward(&call, executor)?;
        let output = slot.get().output.tensor();
        executor.count_block();
        let (executor, inputs) = (executor.clone(), call.inputs());
        let backward = move |gradients: &[Tensor]| {
            let gradient = gradients[0].f_contiguous()?;
            slot.get().backward(&call, &executor, &gradient)
        };
        let mut outputs = tape.exclusive_node(inputs, vec![output], backward)?;
        Ok(outputs.swap_remove(0))
    }
}

impl ReadInCall {
    fn projections(&self) -> [&Projected; 4] {
        [&self.query, &self.key, &self.value, &self.exit]
    }

    fn shape(&self) -> Result<ReadInShape> {
        let (states, tokens) = (self.states.tensor().size(), self.tokens.size());
        let (&[.., modules, state], &[batch, tokens, token_dim]) =
            (states.as_slice(), tokens.as_slice())
        else {
            return Err(ModuleError::Shape {
                op: OP,
                name: "tokens".into(),
                expected: "[batch, tokens, token_dim]".into(),
                found: tokens,
            });
        };
        let size = |name, size| size_of(OP, name, size);
        Ok(ReadInShape {
            batch: size("batch", batch)?,
            modules: size("modules", modules)?,
            tokens: size("tokens", tokens)?,
            state: size("state", state)?,
            token_dim: size("token_dim", token_dim)?,
            heads: size("heads", self.heads)?,
            head_dim: size("head_dim", self.head_dim)?,
            residual: self.residual,
        })
    }

    /// The tensors that may take gradients, in the order in which [`Slot::backward`] gives these.
    fn inputs(&self) -> Vec<Tensor> {
        let mut inputs = vec![
            self.states.tensor().shallow_clone(),
            self.tokens.shallow_clone(),
        ];
        self.receiver_norm.append_inputs(&mut inputs);
        self.sender_norm.append_inputs(&mut inputs);
        for projected in self.projections() {
            projected.append_inputs(&mut inputs);
        }
        inputs
    }

    fn operands<'a>(
        &'a self,
        [query, key, value, exit]: &'a [Scale; 4],
        mask: &'a [bool],
    ) -> Result<ReadInOperands<'a>> {
        let keep = self.keep.as_ref();
        Ok(ReadInOperands {
            states: self.states.operand(OP)?,
            tokens: floats(OP, "tokens", &self.tokens)?,
            mask: self.mask.as_ref().map(|_| mask),
            receiver_norm: self.receiver_norm.operand()?,
            sender_norm: self.sender_norm.operand()?,
            query: query.operand(&self.query)?,
            key: key.operand(&self.key)?,
            value: value.operand(&self.value)?,
            exit: exit.operand(&self.exit)?,
            keep: keep.map(|keep| floats(OP, "keep", keep)).transpose()?,
        })
    }
}

impl Slot {
    fn new(shape: ReadInShape) -> Result<Self> {
        Ok(Self {
            shape,
            block: ReadInAttention::new(shape)?,
            scales: Default::default(),
            mask: Vec::new(),
            gradients: Gradients::default(),
            output: Buffer::default(),
        })
    }

    fn forward(&mut self, call: &ReadInCall, executor: &FusedExecutor) -> Result<()> {
        let compute = executor.compute();
        for (scale, projected) in self.scales.iter_mut().zip(call.projections()) {
            scale.compute(projected, compute)?;
        }
        if let Some(mask) = &call.mask {
            flags(OP, "mask", mask, &mut self.mask)?;
        }
        let operands = call.operands(&self.scales, &self.mask)?;
        let size = [self.shape.batch, self.shape.modules, self.shape.state].map(|n| n as i64);
        let output = self.output.writable(&size, executor.generation())?;
        self.block.forward(compute, &operands, output)?;
        Ok(())
    }

    fn backward(
        &mut self,
        call: &ReadInCall,
        executor: &FusedExecutor,
        gradient: &Tensor,
    ) -> Result<Vec<Tensor>> {
        let (compute, generation) = (executor.compute(), executor.generation());
        let operands = call.operands(&self.scales, &self.mask)?;
        let mut gradients = self.gradients.writable(call, generation)?;
        let gradient = floats(OP, "gradient", gradient)?;
        self.block
            .backward(compute, &operands, gradient, &mut gradients)?;
        let to = &mut self.gradients;
        let mut all = vec![to.states.tensor(), to.tokens.tensor()];
        to.receiver_norm.append(&mut all);
        to.sender_norm.append(&mut all);
        let projections = to.projections.iter_mut().zip(&mut self.scales);
        for ((to, scale), projected) in projections.zip(call.projections()) {
            to.of_scale(projected, scale, compute, generation)?;
            to.append(projected, &mut all);
        }
        Ok(all)
    }
}

impl Gradients {
    fn writable(&mut self, call: &ReadInCall, generation: u64) -> Result<ReadInGradients<'_>> {
        let tokens = match call.tokens.requires_grad() {
            true => Some(self.tokens.writable(&call.tokens.size(), generation)?),
            false => None,
        };
        let [query, key, value, exit] = &mut self.projections;
        let states = call.states.tensor().size();
        Ok(ReadInGradients {
            states: Some(self.states.writable(&states, generation)?),
            tokens,
            receiver_norm: self
                .receiver_norm
                .writable(&call.receiver_norm, generation)?,
            sender_norm: self.sender_norm.writable(&call.sender_norm, generation)?,
            query: query.writable(&call.query, generation)?,
            key: key.writable(&call.key, generation)?,
            value: value.writable(&call.value, generation)?,
            exit: exit.writable(&call.exit, generation)?,
        })
    }
}
