//! Attention in its three uses: read-in from tokens, stochastic attention between modules, and plain
//! attention for the baseline.

mod heads;
mod kernel;
mod plain;
mod read_in;
mod sampling;
mod skmdpa;

pub use kernel::{EvaluationLinks, KernelConfig, SignatureGraph, SignatureKernel};
pub use plain::PlainAttention;
pub use read_in::{ReadInAttention, ReadInAttentionConfig};
pub use sampling::sample_log_links;
pub use skmdpa::{Skmdpa, SkmdpaConfig};
