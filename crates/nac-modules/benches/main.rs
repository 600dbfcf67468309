//! Benchmarks of layers on libtorch, one module per operation: `cargo bench -p nac-modules`.

mod ops;

use criterion::{criterion_group, criterion_main};

criterion_group!(benches, ops::mod_fc::bench, ops::propagator::bench);
criterion_main!(benches);
