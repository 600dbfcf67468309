//! A set of modules and the kernel that links them, as graph priors and plots see it.

use tch::Tensor;

use super::SignatureKernel;
use crate::error::Result;
use crate::shape;

/// A set of modules connected through a kernel: what a graph prior regularises and a plot shows.
#[derive(Debug)]
pub struct SignatureGraph<'a> {
    /// Name of the set of modules.
    pub name: String,
    /// The kernel its links come from.
    pub kernel: &'a SignatureKernel,
    /// Signatures, `[modules, dim]`, attached to the model's parameters.
    pub signatures: Tensor,
}

impl SignatureGraph<'_> {
    /// Link probabilities between all modules, differentiable, not above 1.
    ///
    /// # Shapes
    /// - output: `[modules, modules]`
    ///
    /// # Errors
    /// The signatures are not `[modules, dim]`.
    pub fn link_probabilities(&self) -> Result<Tensor> {
        shape::check(
            "SignatureGraph",
            "signatures",
            &self.signatures,
            &[("modules", None), ("dim", None)],
        )?;
        self.kernel
            .link_probability(&self.signatures, &self.signatures)
    }
}
