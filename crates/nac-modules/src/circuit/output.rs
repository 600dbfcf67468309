//! The circuit that a forward pass used.

use tch::Tensor;

use crate::attention::{SignatureGraph, SignatureKernel};
use crate::generator::Circuit;

/// The modules of a forward pass and the kernels that linked them.
///
/// Tensors are attached to what they were computed from, so terms of a loss on them reach the parameters.
#[derive(Debug)]
pub struct CircuitOutput {
    /// Signatures, codes and initial states, as the generator gave them.
    pub circuit: Circuit,
    kernels: Vec<(String, SignatureKernel)>,
}

impl CircuitOutput {
    /// `circuit` with the distinct kernels of the propagators, each under the name of the first propagator that
    /// has it.
    pub fn new(circuit: Circuit, kernels: Vec<(String, SignatureKernel)>) -> Self {
        Self { circuit, kernels }
    }

    /// The graphs between the processors, one for each distinct kernel.
    ///
    /// Propagators with one kernel, or with equal kernels of fixed bandwidth, have one graph.
    pub fn graphs(&self) -> impl Iterator<Item = SignatureGraph<'_>> {
        self.graphs_between(&self.circuit.processors.signatures)
    }

    /// The graphs that the kernels span between modules with these signatures.
    ///
    /// # Shapes
    /// - signatures: `[modules, dim]` or `[batch, modules, dim]`
    pub fn graphs_between(&self, signatures: &Tensor) -> impl Iterator<Item = SignatureGraph<'_>> {
        self.kernels.iter().map(|(name, kernel)| SignatureGraph {
            name,
            kernel,
            signatures: signatures.shallow_clone(),
        })
    }
}
