//! Benchmarks of this crate, one module per operation: `cargo bench -p nac-train`.
//!
//! `cargo bench -p nac-train -- graph_prior` runs those whose name contains a word.
#![allow(
    clippy::expect_used,
    reason = "a benchmark that cannot be set up measures nothing"
)]

mod ops;
#[path = "../../nac-core/benches/scaling.rs"]
mod scaling;

use criterion::{criterion_group, criterion_main};

criterion_group!(benches, ops::graph_prior::bench);
criterion_main!(benches);
