//! Matrix products of training, on row-major slices.
//!
//! - [`PackedWeight`]: a weight `[outputs, inputs]` prepared for `y = x Wᵀ + b` and `dx = dy W`, one block of rows per call;
//! - [`weight_gradient`] `dw = dyᵀ x` and [`column_sums`] for biases, over all rows, in parallel;
//! - [`Multiply`]: one product of strided operands of any size, which all of these and attention are made of.
//!
//! In mixed precision both operands of the first two are rounded to bfloat16 (8 bits of fraction, relative error at
//! most 2⁻⁸ in each product), and sums are in single precision.

mod bf16;
mod column_sums;
mod kernel;
mod multiply;
mod packed;
mod panels;
#[cfg(test)]
mod reference;
mod round;
mod weight_gradient;

#[allow(unused_imports, reason = "for the blocks of training")]
pub(crate) use {
    column_sums::column_sums,
    multiply::{Left, Multiply, Right},
    packed::{Epilogue, PackedWeight},
    weight_gradient::weight_gradient,
};
