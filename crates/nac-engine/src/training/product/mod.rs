//! Matrix products of training, on row-major slices.
//!
//! - [`PackedWeight`]: a weight `[outputs, inputs]` prepared for `y = x Wᵀ + b` and `dx = dy W`, one block of rows per call;
//! - [`weight_gradient`] `dw = dyᵀ x` and [`column_sums`] for biases, over all rows, in parallel;
//! - [`Multiply`]: one product of strided operands of any size, which all of these and attention are made of.
//!
//! In mixed precision the operands of the first two are rounded to bfloat16 (to nearest, so with a relative error of
//! at most 2⁻⁸ each) and sums are in single precision. A result is then within 2⁻⁷ of the sum of the magnitudes of its
//! terms; with operands of either sign the root-mean-square error is about 0.2 % of that of the results. `bf16` says
//! which instructions are used.

mod bf16;
mod column_sums;
mod kernel;
mod multiply;
mod packed;
pub(crate) mod pairs;
mod panels;
mod probe;
#[cfg(test)]
mod reference;
mod round;
mod weight_gradient;

pub use probe::ProductProbe;
pub(crate) use {
    column_sums::column_sums,
    multiply::{Left, Multiply, Right},
    packed::{Epilogue, PackedWeight},
    weight_gradient::weight_gradient,
};
