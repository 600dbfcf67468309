//! Benchmarks that cross crates, one module per operation, engines side by side.
//!
//! `cargo bench -p nac-benches -- forward/tiny-nac` runs those whose name contains a word. Passes take up to seconds, so
//! there are few of each.
#![allow(
    clippy::expect_used,
    reason = "a benchmark that cannot be set up measures nothing"
)]

mod engines;
mod forward;
mod read_in;
mod scaling;
mod training;

use criterion::{criterion_group, criterion_main};

criterion_group!(
    circuits,
    read_in::bench,
    forward::bench,
    training::bench,
    scaling::bench
);
criterion_main!(circuits);
