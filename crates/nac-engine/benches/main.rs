//! Benchmarks of the engine, one module per operation: `cargo bench -p nac-engine`.
#![allow(
    clippy::expect_used,
    reason = "a benchmark that cannot be set up measures nothing"
)]

#[allow(dead_code, reason = "tests use all of it")]
#[path = "../tests/circuit/mod.rs"]
mod circuit;
#[path = "../../nac-core/benches/memory.rs"]
mod memory;
mod ops;
#[path = "../../nac-core/benches/scaling.rs"]
mod scaling;

use criterion::{Criterion, criterion_group};

criterion_group!(
    benches,
    ops::attention::bench,
    ops::engine::bench,
    ops::product::bench,
    ops::propagator::bench,
    ops::training::bench
);

fn main() {
    if let Some(name) = memory::asked() {
        ops::propagator::memory(&name);
        return;
    }
    benches();
    Criterion::default().configure_from_args().final_summary();
}
