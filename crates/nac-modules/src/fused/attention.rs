//! Attention between modules, and that of Perceiver IO, as one tape node.

use nac_engine::training::{
    ProjectionGradient, Skmdpa, SkmdpaGradients, SkmdpaOperands, SkmdpaShape,
};
use tch::Tensor;

use super::executor::FusedExecutor;
use super::links::{DrawnLinks, LinkGradients, LinkSource};
use super::memory::{Buffer, flags, floats, size_of};
use super::norm::{NormGradients, Normalised};
use super::projection::{Projected, ProjectionGradients, Scale};
use super::slots::Slots;
use super::states::BlockStates;
use crate::error::Result;
use crate::tape::Tape;

const OP: &str = "fused attention block";

/// One call: `[x +] keep · W_o(softmax(q kᵀ/√d + log links) v)`, with tensors attached to the graph.
#[derive(Debug)]
pub(crate) struct AttentionCall {
    pub(crate) receivers: BlockStates,
    /// `None` if the receivers attend to themselves, through one layer norm.
    pub(crate) senders: Option<BlockStates>,
    pub(crate) receiver_norm: Normalised,
    /// `None` if senders go through the receivers' norm.
    pub(crate) sender_norm: Option<Normalised>,
    pub(crate) query: Projected,
    pub(crate) key: Projected,
    pub(crate) value: Projected,
    /// The tensor that holds the weight of the keys and then that of the values, `[2 · inner, in]`, if one does; both
    /// are then views of it, and it takes the gradient.
    pub(crate) key_value: Option<Tensor>,
    pub(crate) exit: Projected,
    pub(crate) links: Option<LinkSource>,
    /// `[batch, senders]`, false for padding.
    pub(crate) mask: Option<Tensor>,
    /// Factor on the branch of each example, `[batch]`.
    pub(crate) keep: Option<Tensor>,
    pub(crate) sizes: AttentionSizes,
}

/// Sizes and options of a call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AttentionSizes {
    pub(crate) batch: i64,
    pub(crate) heads: i64,
    pub(crate) head_dim: i64,
    /// Whether the receivers' states are added.
    pub(crate) residual: bool,
}

/// The blocks of one layer.
#[derive(Debug, Default)]
pub(crate) struct FusedAttention(Slots<Slot>);

/// The block of one call, with its memory.
#[derive(Debug)]
struct Slot {
    shape: SkmdpaShape,
    block: Skmdpa,
    scales: [Scale; 4],
    links: DrawnLinks,
    mask: Vec<bool>,
    gradients: Gradients,
    output: Buffer,
}

#[derive(Debug, Default)]
struct Gradients {
    receivers: Buffer,
    senders: Buffer,
    receiver_norm: NormGradients,
    sender_norm: NormGradients,
    projections: [ProjectionGradients; 4],
    key_value: Buffer,
    links: LinkGradients,
}

impl FusedAttention {
    /// Runs the block and records it on the tape.
    ///
    /// # Shapes
    /// - output: `[batch, receivers, state]`
    pub(crate) fn run(
        &self,
        call: AttentionCall,
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

impl AttentionCall {
    fn projections(&self) -> [&Projected; 4] {
        [&self.query, &self.key, &self.value, &self.exit]
    }

    fn shape(&self) -> Result<SkmdpaShape> {
        let of = |states: &BlockStates| {
            let size = states.tensor().size();
            let last = size.len().saturating_sub(2);
            let of = |dim: usize| size.get(dim).copied().unwrap_or(0);
            Ok::<_, crate::ModuleError>((
                size_of(OP, "modules", of(last))?,
                size_of(OP, "state", of(last + 1))?,
            ))
        };
        let (receivers, state) = of(&self.receivers)?;
        let (senders, sender_state) = match &self.senders {
            Some(senders) => of(senders)?,
            None => (receivers, state),
        };
        Ok(SkmdpaShape {
            batch: size_of(OP, "batch", self.sizes.batch)?,
            receivers,
            senders,
            state,
            sender_state,
            heads: size_of(OP, "heads", self.sizes.heads)?,
            head_dim: size_of(OP, "head_dim", self.sizes.head_dim)?,
            residual: self.sizes.residual,
        })
    }

    /// The tensors that may take gradients, in the order in which [`Slot::backward`] gives these.
    fn inputs(&self) -> Vec<Tensor> {
        let mut inputs = vec![self.receivers.tensor().shallow_clone()];
        let senders = self.senders.as_ref();
        inputs.extend(senders.map(|senders| senders.tensor().shallow_clone()));
        self.receiver_norm.append_inputs(&mut inputs);
        if let Some(norm) = &self.sender_norm {
            norm.append_inputs(&mut inputs);
        }
        match &self.key_value {
            Some(both) => {
                self.query.append_inputs(&mut inputs);
                inputs.push(both.shallow_clone());
                self.exit.append_inputs(&mut inputs);
            }
            None => {
                for projected in self.projections() {
                    projected.append_inputs(&mut inputs);
                }
            }
        }
        inputs.extend(
            self.links
                .as_ref()
                .map(|links| links.input().shallow_clone()),
        );
        inputs
    }

    fn operands<'a>(
        &'a self,
        [query, key, value, exit]: &'a [Scale; 4],
        links: &'a DrawnLinks,
        mask: &'a [bool],
    ) -> Result<SkmdpaOperands<'a>> {
        let (senders, norm) = (self.senders.as_ref(), self.sender_norm.as_ref());
        let keep = self.keep.as_ref();
        Ok(SkmdpaOperands {
            receivers: self.receivers.operand(OP)?,
            senders: senders.map(|senders| senders.operand(OP)).transpose()?,
            receiver_norm: self.receiver_norm.operand()?,
            sender_norm: norm.map(Normalised::operand).transpose()?,
            query: query.operand(&self.query)?,
            key: key.operand(&self.key)?,
            value: value.operand(&self.value)?,
            exit: exit.operand(&self.exit)?,
            links: links.operand(self.links.as_ref())?,
            mask: self.mask.as_ref().map(|_| mask),
            keep: keep.map(|keep| floats(OP, "keep", keep)).transpose()?,
        })
    }
}

impl Slot {
    fn new(shape: SkmdpaShape) -> Result<Self> {
        Ok(Self {
            shape,
            block: Skmdpa::new(shape)?,
            scales: Default::default(),
            links: DrawnLinks::default(),
            mask: Vec::new(),
            gradients: Gradients::default(),
            output: Buffer::default(),
        })
    }

    fn forward(&mut self, call: &AttentionCall, executor: &FusedExecutor) -> Result<()> {
        let compute = executor.compute();
        for (scale, projected) in self.scales.iter_mut().zip(call.projections()) {
            scale.compute(projected, compute)?;
        }
        self.links.draw(call.links.as_ref(), compute)?;
        if let Some(mask) = &call.mask {
            flags(OP, "mask", mask, &mut self.mask)?;
        }
        let operands = call.operands(&self.scales, &self.links, &self.mask)?;
        let size = [self.shape.batch, self.shape.receivers, self.shape.state].map(|n| n as i64);
        let output = self.output.writable(&size, executor.generation())?;
        self.block.forward(compute, &operands, output)?;
        Ok(())
    }

    fn backward(
        &mut self,
        call: &AttentionCall,
        executor: &FusedExecutor,
        gradient: &Tensor,
    ) -> Result<Vec<Tensor>> {
        let (compute, generation) = (executor.compute(), executor.generation());
        let operands = call.operands(&self.scales, &self.links, &self.mask)?;
        let mut gradients = self.gradients.writable(call, &self.links, generation)?;
        let gradient = floats(OP, "gradient", gradient)?;
        self.block
            .backward(compute, &operands, gradient, &mut gradients)?;
        let to = &mut self.gradients;
        let mut all = vec![to.receivers.tensor()];
        all.extend(call.senders.as_ref().map(|_| to.senders.tensor()));
        to.receiver_norm.append(&mut all);
        if call.sender_norm.is_some() {
            to.sender_norm.append(&mut all);
        }
        let projections = to.projections.iter_mut().zip(&mut self.scales);
        for ((to, scale), projected) in projections.zip(call.projections()) {
            to.of_scale(projected, scale, compute, generation)?;
        }
        match &call.key_value {
            Some(_) => {
                to.projections[0].append(&call.query, &mut all);
                all.push(to.key_value.tensor());
                to.projections[3].append(&call.exit, &mut all);
            }
            None => {
                for (to, projected) in to.projections.iter().zip(call.projections()) {
                    to.append(projected, &mut all);
                }
            }
        }
        if let Some(links) = &call.links {
            all.push(
                to.links
                    .of_source(links, &self.links, compute, generation)?,
            );
        }
        Ok(all)
    }
}

impl Gradients {
    fn writable(
        &mut self,
        call: &AttentionCall,
        links: &DrawnLinks,
        generation: u64,
    ) -> Result<SkmdpaGradients<'_>> {
        let size = |states: &BlockStates| states.tensor().size();
        let senders = match &call.senders {
            Some(senders) => Some(self.senders.writable(&size(senders), generation)?),
            None => None,
        };
        let sender_norm = match &call.sender_norm {
            Some(norm) => Some(self.sender_norm.writable(norm, generation)?),
            None => None,
        };
        let [query, key, value, exit] = &mut self.projections;
        let (key, value) = match &call.key_value {
            None => (
                key.writable(&call.key, generation)?,
                value.writable(&call.value, generation)?,
            ),
            Some(both) => {
                let both = self.key_value.writable(&both.size(), generation)?;
                let (key, value) = both.split_at_mut(both.len() / 2);
                let plain = |weight| ProjectionGradient {
                    weight,
                    bias: None,
                    scale: None,
                };
                (plain(key), plain(value))
            }
        };
        Ok(SkmdpaGradients {
            receivers: Some(
                self.receivers
                    .writable(&size(&call.receivers), generation)?,
            ),
            senders,
            receiver_norm: self
                .receiver_norm
                .writable(&call.receiver_norm, generation)?,
            sender_norm,
            query: query.writable(&call.query, generation)?,
            key,
            value,
            exit: exit.writable(&call.exit, generation)?,
            links: self
                .links
                .writable(call.links.as_ref(), links, generation)?,
        })
    }
}
