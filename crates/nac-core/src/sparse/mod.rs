//! Stage 3: the sparse graph that sampling produces.

pub mod csr;

pub use csr::Csr;
