//! A layer norm of a fused block: its tensors, and the memory of their gradients.

use nac_engine::training::{NormGradient, NormOperand};
use tch::Tensor;

use super::memory::{Buffer, floats};
use crate::error::Result;

/// Gain and bias, `[dim]` each, attached to the graph.
#[derive(Debug)]
pub(crate) struct Normalised {
    pub(crate) gain: Tensor,
    pub(crate) bias: Tensor,
}

impl Normalised {
    /// Appends the tensors that may take gradients, in the order of [`NormGradients::append`].
    pub(super) fn append_inputs(&self, inputs: &mut Vec<Tensor>) {
        inputs.extend([&self.gain, &self.bias].map(Tensor::shallow_clone));
    }

    /// What a block reads.
    pub(super) fn operand(&self) -> Result<NormOperand<'_>> {
        Ok(NormOperand {
            gain: floats("fused layer norm", "weight", &self.gain)?,
            bias: floats("fused layer norm", "bias", &self.bias)?,
        })
    }
}

/// Memory of the gradients of a layer norm.
#[derive(Debug, Default)]
pub(super) struct NormGradients {
    gain: Buffer,
    bias: Buffer,
}

impl NormGradients {
    /// Where a block writes the gradients of `norm`.
    pub(super) fn writable(
        &mut self,
        norm: &Normalised,
        generation: u64,
    ) -> Result<NormGradient<'_>> {
        Ok(NormGradient {
            gain: self.gain.writable(&norm.gain.size(), generation)?,
            bias: self.bias.writable(&norm.bias.size(), generation)?,
        })
    }

    /// Appends the gradients in the order of [`Normalised::append_inputs`].
    pub(super) fn append(&self, gradients: &mut Vec<Tensor>) {
        gradients.extend([&self.gain, &self.bias].map(Buffer::tensor));
    }
}
