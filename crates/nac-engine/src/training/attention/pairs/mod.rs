//! Attention of all receivers to all senders in mixed precision: products of bfloat16 pairs, everything else in single
//! precision.
//!
//! Queries (with the factor of the scores), keys, values and the gradient of `out` are rounded to bfloat16 as operands of
//! products, and so are weights and the gradients of scores. Scores, softmax, sums and results are in single precision.
//! An operand has a relative error of at most 2⁻⁸. A score is thus within `2⁻⁷ Σ|q||k|/√d` of that of single precision;
//! beyond that `out` and the gradients are within 2⁻⁷ of the sum of the magnitudes of their terms.
//!
//! The backward pass holds scores with receivers along vectors, so that a weight `P[i][j]` is packed for `Pᵀ∇o` and a
//! gradient `∇S[i][j]` for both `∇Sᵀq` and `(kᵀ∇Sᵀ)ᵀ` without a transpose: pairs of a left operand are 16 numbers apart
//! in a row of scores, pairs of a right operand 16 rows apart.

mod backward;
mod forward;
mod gradient;
mod pack;
mod transposed;

pub(super) use {backward::backward, forward::forward};
