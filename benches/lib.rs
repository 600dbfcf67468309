//! Benchmarks that cross crates.
