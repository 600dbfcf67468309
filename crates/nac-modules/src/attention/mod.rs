//! Attention in its three uses: read-in from tokens, stochastic attention between modules, and plain
//! attention for the baseline.

mod distance;
mod fused;
mod heads;
mod kernel;
mod normalize;
mod pass_links;
mod plain;
mod plain_layer;
mod read_in;
mod sampling;
mod signature_graph;
mod skmdpa;

pub use kernel::SignatureKernel;
pub use nac_core::model::{
    EvaluationLinks, KernelConfig, ReadInAttentionConfig, SkmdpaConfig, Truncation,
};
pub use normalize::{normalize_links, normalize_log_links};
pub(crate) use pass_links::PassLinks;
pub use plain::PlainAttention;
pub(crate) use plain::Sources;
pub(crate) use plain_layer::PlainLayer;
pub use read_in::ReadInAttention;
pub use sampling::sample_log_links;
pub use signature_graph::SignatureGraph;
pub use skmdpa::Skmdpa;
