//! Training on the CPU without libtorch: the blocks of a circuit and of Perceiver IO, forward and backward.
//!
//! Tensors are plain row-major slices of `f32` in the layout of contiguous tensors, `[batch, modules, dim]`. A block is
//! made once and reused in every step: it owns packed weights, scratch memory, and what its backward pass needs, so
//! that a step like an earlier one allocates nothing.
//!
//! Work is dealt out in parts that do not depend on the number of threads, and partial sums are added in a fixed order:
//! any number of threads gives the same bits.

pub mod attention;
mod compute;
mod exit;
mod feed_forward;
mod finish;
mod heads;
mod linear;
pub mod links;
mod memory;
mod modulation;
mod norm_project;
mod norm_project_backward;
mod operands;
mod partition;
pub(crate) mod product;
mod read_in;
mod read_in_backward;
mod read_in_forward;
mod rows;
mod scale_gradient;
mod skmdpa;
mod skmdpa_attend;
mod skmdpa_backward;
mod skmdpa_forward;

pub use compute::{Compute, TrainingPrecision};
pub use feed_forward::{
    FeedForward, FeedForwardActivation, FeedForwardGradients, FeedForwardOperands, FeedForwardShape,
};
pub use modulation::{Modulation, ModulationGradients, ModulationOperands, ModulationShape};
pub use operands::{NormGradient, NormOperand, ProjectionGradient, ProjectionOperand, States};
pub use product::ProductProbe;
pub use read_in::{ReadInAttention, ReadInGradients, ReadInOperands, ReadInShape};
pub use skmdpa::{Skmdpa, SkmdpaGradients, SkmdpaOperands, SkmdpaShape};
