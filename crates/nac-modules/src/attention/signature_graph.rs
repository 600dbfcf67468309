//! A set of modules and the kernel that links them, as graph priors and plots see it.

use tch::{Kind, Tensor};

use super::SignatureKernel;
use crate::error::Result;

/// A set of modules connected through a kernel: what a graph prior regularises and a plot shows.
///
/// Signatures are `[modules, dim]`, shared by the batch, or `[batch, modules, dim]`, a graph for each example.
#[derive(Debug)]
pub struct SignatureGraph<'a> {
    /// Name of the graph, such as `propagator.0`.
    pub name: &'a str,
    /// The kernel its links come from.
    pub kernel: &'a SignatureKernel,
    /// Signatures, `[modules, dim]` or `[batch, modules, dim]`.
    pub signatures: Tensor,
}

impl SignatureGraph<'_> {
    /// Link probabilities between all modules, differentiable, not above 1.
    ///
    /// # Shapes
    /// - output: `[modules, modules]`, or `[batch, modules, modules]` of signatures per example
    ///
    /// # Errors
    /// The signatures have another rank.
    pub fn link_probabilities(&self) -> Result<Tensor> {
        self.kernel
            .link_probability(&self.signatures, &self.signatures)
    }

    /// Link probabilities of the batch: `P̄_ij = mean_b P_bij`.
    ///
    /// # Shapes
    /// - output: `[modules, modules]`
    ///
    /// # Errors
    /// The signatures have another rank.
    pub fn mean_link_probabilities(&self) -> Result<Tensor> {
        let links = self.link_probabilities()?;
        Ok(match links.dim() {
            3 => links.f_mean_dim([0_i64].as_slice(), false, None::<Kind>)?,
            _ => links,
        })
    }
}
