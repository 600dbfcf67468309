//! States of modules as operands of a fused block.

use nac_engine::training::States;
use tch::Tensor;

use super::memory::floats;
use crate::error::Result;

/// States, attached to the graph, contiguous.
#[derive(Debug)]
pub(crate) enum BlockStates {
    /// `[modules, state]`, the same for every example.
    Shared(Tensor),
    /// `[batch, modules, state]`.
    PerExample(Tensor),
}

impl BlockStates {
    /// `states`, `[batch, modules, state]`, or what they are the expansion of.
    pub(crate) fn new(states: &Tensor, shared: Option<&Tensor>) -> Result<Self> {
        Ok(match shared {
            Some(shared) => Self::Shared(shared.f_contiguous()?),
            None => Self::PerExample(states.f_contiguous()?),
        })
    }

    /// The tensor.
    pub(super) fn tensor(&self) -> &Tensor {
        match self {
            Self::Shared(tensor) | Self::PerExample(tensor) => tensor,
        }
    }

    /// What a block reads.
    pub(super) fn operand(&self, op: &'static str) -> Result<States<'_>> {
        Ok(States {
            values: floats(op, "states", self.tensor())?,
            shared: matches!(self, Self::Shared(_)),
        })
    }
}
