//! The check that all kinds of projections make of what they are applied to.

use tch::Tensor;

use crate::error::Result;
use crate::shape;

/// Checks the operands of a projection; a plain one does not care for the width of codes.
pub(super) fn check(
    op: &'static str,
    x: &Tensor,
    codes: &Tensor,
    in_dim: i64,
    code_dim: Option<i64>,
) -> Result<()> {
    let expected = [("batch", None), ("modules", None), ("in", Some(in_dim))];
    shape::check(op, "x", x, &expected)?;
    let size = x.size();
    shape::check_per_module(op, "codes", codes, size[0], size[1], code_dim)
}
