//! Blocks of products of bfloat16 pairs, for kernels that pack their operands themselves.

pub(crate) use super::bf16::{BLOCK, Entered, SQUARE, Unit, transpose};
