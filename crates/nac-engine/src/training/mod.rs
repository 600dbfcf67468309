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
pub mod links;
pub(crate) mod product;

pub use compute::{Compute, TrainingPrecision};
