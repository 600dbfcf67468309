//! Benchmarks of layers and whole circuits on libtorch.

mod read_in;
mod whole;

use criterion::{criterion_group, criterion_main};

criterion_group!(circuits, read_in::bench, whole::bench);
criterion_main!(circuits);
