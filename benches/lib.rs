//! What measurements and benchmarks across crates need: the authors' way of computing, engines behind one trait, and
//! fits of exponents.
//!
//! `cargo bench -p nac-benches` runs the criterion benchmarks, `cargo bench -p nac-benches -- read_in` those whose name
//! contains a word; `cargo xtask bench` measures whole sets in separate processes.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod measure;
pub mod naive;
pub mod scaling;
