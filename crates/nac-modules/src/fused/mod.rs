//! Blocks of a model on nac-engine's training kernels: one tape node each, forward and hand-written backward.
//!
//! ```text
//! layer ──call (tensors attached to the graph)──► block of this call ──► output tensor, a leaf on the tape
//!                                                    │ keeps what backward needs
//! gradients of all tensors of the call ◄─────────────┘ when Tape::backward gets there
//! ```
//!
//! A layer with a [`FusedExecutor`] in its [`ForwardContext`](crate::context::ForwardContext) runs here if
//! [`coverage`] says so, and through libtorch otherwise. Links are computed by libtorch once per pass from signatures
//! and bandwidth; their sampling, and the modulation of weights by codes, are part of the node.

mod attention;
mod coverage;
mod edges;
mod executor;
mod feed_forward;
mod links;
mod memory;
mod norm;
mod projection;
mod read_in;
mod slots;
mod states;

pub(crate) use attention::{AttentionCall, AttentionSizes, FusedAttention};
pub use coverage::{BlockCoverage, Coverage, coverage};
pub(crate) use coverage::{attends, computes, reads};
pub use executor::FusedExecutor;
pub(crate) use feed_forward::{FeedForwardCall, FeedForwardSizes, FusedFeedForward};
pub(crate) use links::LinkSource;
pub use nac_engine::training::TrainingPrecision;
pub(crate) use norm::Normalised;
pub(crate) use projection::{Modulated, Projected, ScaleSource};
pub(crate) use read_in::{FusedReadIn, ReadInCall};
pub(crate) use states::BlockStates;
