//! The inner loops, on vectors of whatever width the processor has.
//!
//! Data is feature-major: a [`Row`] holds one feature of [`WIDTH`] items (modules or tokens), so every loop,
//! layer norm and softmax included, runs along items and needs no sum across a vector. Matrices of weights are
//! the operand that is broadcast. Each kernel is written once, over `pulp`'s vectors, and compiled for AVX-512,
//! AVX2, NEON and scalar code; which one runs is detected at run time. Only products of bfloat16
//! and of 8-bit integers use intrinsics ([`bf16`], [`int8`]).

pub(crate) mod activation;
pub(crate) mod attend;
pub(crate) mod bf16;
pub(crate) mod edges;
pub(crate) mod gelu;
pub(crate) mod gemm;
pub(crate) mod int8;
pub(crate) mod math;
pub(crate) mod norm;
pub(crate) mod prefetch;
pub(crate) mod row;
pub(crate) mod tile;
pub(crate) mod transpose;

/// Rows of scores that dense attention holds at a time.
pub(crate) const CHUNK_ROWS: usize = attend::CHUNK * WIDTH;

/// Rows of scratch that hold the scores of dense or of sparse attention.
pub(crate) const SCORE_ROWS: usize = if edges::SCORES > CHUNK_ROWS * WIDTH {
    edges::SCORES / WIDTH
} else {
    CHUNK_ROWS
};

pub(crate) use row::{PairRow, Row, WIDTH, padded};
