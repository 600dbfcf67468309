//! Products of bfloat16 pairs with sums in single precision, on processors that have instructions for them.
//!
//! Pairs are neighbours in the summed dimension, the first in the low half of a `u32`. Both operands are padded with
//! zeros: rows and columns to blocks of [`BLOCK`], the summed dimension to the same. A product is made of blocks of
//! 32 × 32 results: in the tile registers of AMX, or as dot products of AVX-512 BF16. Processors with neither
//! multiply rounded numbers in single precision, as [`Multiply`](super::Multiply) does.

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod amx;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod pack;
mod product;
mod unit;

pub(crate) use {
    pack::transpose,
    unit::{Entered, Unit},
};
pub(super) use {
    pack::{PackLeft, PackPanel, panel_len, rows_len},
    product::PairProduct,
};

/// Rows and columns of a block of results, and the multiple that the summed dimension is padded to.
pub(crate) const BLOCK: usize = 32;

/// Side of the squares that are transposed in registers.
pub(crate) const SQUARE: usize = 16;
