//! Benchmarks of this crate, one module per operation: `cargo bench -p nac-core`.
//!
//! `cargo bench -p nac-core -- sampling` runs those whose name contains a word. Where an operation
//! is measured at several sizes, the exponent of its time is printed at the end.
#![allow(
    clippy::expect_used,
    reason = "a benchmark that cannot be set up measures nothing"
)]

mod memory;
mod ops;
mod scaling;

use criterion::{Criterion, criterion_group};

criterion_group!(
    benches,
    ops::assignment::bench,
    ops::kernel::bench,
    ops::relaxed::bench,
    ops::sampling::bench
);

fn main() {
    if let Some(name) = memory::asked() {
        ops::sampling::memory(&name);
        return;
    }
    benches();
    Criterion::default().configure_from_args().final_summary();
}
