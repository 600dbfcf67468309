//! The check that all kinds of projections make of what they are applied to.

use tch::Tensor;

use crate::error::{ModuleError, Result};
use crate::shape;

/// Checks the operands of a projection, `x` `[..., in]` and codes `[..., code]` whose leading dimensions broadcast.
/// A plain projection does not care for the width of codes.
pub(super) fn check(
    op: &'static str,
    x: &Tensor,
    codes: &Tensor,
    in_dim: i64,
    code_dim: Option<i64>,
) -> Result<()> {
    shape::check_last(op, "x", x, in_dim)?;
    if let Some(dim) = code_dim {
        shape::check_last(op, "codes", codes, dim)?;
    }
    check_codes(op, x, codes, true)
}

/// As [`check`], but the codes may not add or widen dimensions of `x`.
pub(super) fn check_within(op: &'static str, x: &Tensor, codes: &Tensor) -> Result<()> {
    check_codes(op, x, codes, false)
}

fn check_codes(op: &'static str, x: &Tensor, codes: &Tensor, widens: bool) -> Result<()> {
    let leading = |tensor: &Tensor| {
        let mut size = tensor.size();
        let _ = size.pop();
        size
    };
    let (of_x, of_codes) = (leading(x), leading(codes));
    let pairs = of_x.iter().rev().zip(of_codes.iter().rev());
    let fits = pairs
        .into_iter()
        .all(|(&x, &code)| code == x || code == 1 || (widens && x == 1));
    if fits && (widens || of_codes.len() <= of_x.len()) {
        return Ok(());
    }
    Err(ModuleError::Shape {
        op,
        name: "codes".to_owned(),
        expected: format!("[{of_x:?}, code] or what broadcasts to it"),
        found: codes.size(),
    })
}
