//! Benchmarks of layers on libtorch, one module per operation: `cargo bench -p nac-modules`.
#![allow(
    clippy::expect_used,
    reason = "a benchmark that cannot be set up measures nothing"
)]

mod ops;

use criterion::{criterion_group, criterion_main};

criterion_group!(benches, ops::mod_fc::bench, ops::propagator::bench);
criterion_main!(benches);
