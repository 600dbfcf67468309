//! Multi-head attention between the modules of one example, forward and backward, with links between them.
//!
//! `out = softmax_senders(q kᵀ/√d + log links + mask) v`, and with the gradient `∇o` of `out`: `∇v = Pᵀ∇o`,
//! `∇P = ∇o vᵀ`, `∇S = P ⊙ (∇P − Σ_d ∇o ⊙ o)`, `∇q = ∇S k/√d`, `∇k = ∇Sᵀ q/√d`, and the gradient of `log links` is the sum of
//! `∇S` over heads. In the way of FlashAttention (arXiv 2205.14135) the weights `P` are never stored: the forward pass
//! keeps the logarithm of each softmax's sum, from which the backward pass computes them again, a chunk at a time.
//!
//! In mixed precision operands of these products are rounded to bfloat16, as `pairs` says; attention over edges, heads of a
//! width up to 16 and processors without such products stay in single precision.
//!
//! A link of −∞ is no link; a receiver without any gets zeros and passes no gradient on.

mod batch;
mod columns;
mod dense;
mod dense_backward;
mod edges;
mod graph;
mod operands;
mod pack;
mod pairs;
mod parts;
mod rows;

pub use batch::{Attention, AttentionGradients, AttentionOperands, AttentionOutput, Links};
pub(crate) use columns::Columns;
pub use graph::EdgeGraph;
pub use operands::AttentionShape;
pub(crate) use operands::{Example, ExampleGradients, ExampleLinks, ExampleOutput};
pub(crate) use parts::{BatchGradients, backward_batch, forward_batch};

use super::compute::{Buffer, Compute, TrainingPrecision};
use super::product::pairs::Unit;

/// Computes the columns of the heads of `example` in `out`, `[receivers, heads · head_dim]`, and their `log_sums`,
/// `[heads, receivers]`: the logarithm to base two of each softmax's sum, for the backward pass.
pub(crate) fn forward(
    compute: &Compute,
    example: &Example<'_>,
    out: &mut Columns<'_>,
    log_sums: &mut [f32],
    scratch: &mut Buffer,
) {
    match example.links {
        ExampleLinks::Edges { graph, log } => {
            edges::forward(compute, example, (graph, log), (out, log_sums), scratch);
        }
        ExampleLinks::None | ExampleLinks::Dense(_) => match pair_unit(compute, example) {
            Some(unit) => pairs::forward((compute, unit), example, out, log_sums, scratch),
            None => dense::forward(compute, example, out, log_sums, scratch),
        },
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
        ExampleLinks::None | ExampleLinks::Dense(_) => match pair_unit(compute, example) {
            Some(unit) => {
                pairs::backward((compute, unit), example, output, gradients, scratch);
            }
            None => dense_backward::backward(compute, example, output, gradients, scratch),
        },
    }
}

/// Heads up to this width would be zeros for the greater part of a block of pairs, and are faster in single precision.
const NARROW: usize = 16;

/// What multiplies bfloat16 pairs, in mixed precision and where that is faster.
fn pair_unit(compute: &Compute, example: &Example<'_>) -> Option<Unit> {
    let AttentionShape {
        receivers,
        senders,
        head_dim,
        ..
    } = example.shape;
    let mixed = compute.precision() == TrainingPrecision::Mixed;
    let wide = head_dim > NARROW && receivers > 0 && senders > 0;
    Unit::detect().filter(|_| mixed && wide)
}
