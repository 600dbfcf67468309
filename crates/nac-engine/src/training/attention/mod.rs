//! Multi-head attention between the modules of one example, forward and backward, with links between them.
//!
//! `out = softmax_senders(q kᵀ/√d + log links + mask) v`, and with the gradient `∇o` of `out`: `∇v = Pᵀ∇o`,
//! `∇P = ∇o vᵀ`, `∇S = P ⊙ (∇P − Σ_d ∇o ⊙ o)`, `∇q = ∇S k/√d`, `∇k = ∇Sᵀ q/√d`, and the gradient of `log links` is the sum of
//! `∇S` over heads. In the way of FlashAttention (arXiv 2205.14135) the weights `P` are never stored: the forward pass
//! keeps the logarithm of each softmax's sum, from which the backward pass computes them again, a chunk at a time.
//!
//! A link of −∞ is no link; a receiver without any gets zeros and passes no gradient on.

mod batch;
mod dense;
mod dense_backward;
mod edges;
mod graph;
mod operands;
mod pack;
mod rows;

pub use batch::{Attention, AttentionGradients, AttentionOperands, AttentionOutput, Links};
pub use graph::EdgeGraph;
pub use operands::AttentionShape;
pub(crate) use operands::{Example, ExampleGradients, ExampleLinks, ExampleOutput};

use super::compute::{Buffer, Compute};

/// Computes `out`, `[receivers, heads · head_dim]`, and `log_sums`, `[heads, receivers]`: the logarithm to base two of each
/// softmax's sum, for the backward pass.
pub(crate) fn forward(
    compute: &Compute,
    example: &Example<'_>,
    out: &mut [f32],
    log_sums: &mut [f32],
    scratch: &mut Buffer,
) {
    match example.links {
        ExampleLinks::Edges { graph, log } => {
            edges::forward(compute, example, (graph, log), (out, log_sums), scratch);
        }
        ExampleLinks::None | ExampleLinks::Dense(_) => {
            dense::forward(compute, example, out, log_sums, scratch);
        }
    }
}

/// Overwrites `gradients` with those of queries, keys, values and links.
pub(crate) fn backward(
    compute: &Compute,
    example: &Example<'_>,
    output: &ExampleOutput<'_>,
    gradients: &mut ExampleGradients<'_>,
    scratch: &mut Buffer,
) {
    match example.links {
        ExampleLinks::Edges { graph, log } => {
            edges::backward(compute, example, (graph, log), (output, gradients), scratch);
        }
        ExampleLinks::None | ExampleLinks::Dense(_) => {
            dense_backward::backward(compute, example, output, gradients, scratch);
        }
    }
}
