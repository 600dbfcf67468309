//! Projections and the feed-forward block, for any leading dimensions.

use nac_core::model::spec::{ModFfnSpec, ProjectionSpec};
use nac_engine::single::SingleLayer;
use ndarray::Array3;
use tch::Tensor;

use super::super::context::Case;
use super::super::error::{CaseError, CaseResult};
use super::arrays::{array_of, check_all, tensor, weights};

pub(super) fn projection(case: &mut Case<'_>, spec: &ProjectionSpec) -> CaseResult<()> {
    let weights = weights(case)?;
    let operands = Operands::new(&case.tensor("in.x")?, &case.tensor("in.context")?)?;
    let (x, codes) = (operands.x.view(), operands.codes.view());
    let y = SingleLayer::new(&weights).projection(spec, x, codes)?;
    let y = operands.restore(&y)?;
    check_all(case, &[("y", &y)])
}

pub(super) fn feed_forward(case: &mut Case<'_>, spec: &ModFfnSpec) -> CaseResult<()> {
    let weights = weights(case)?;
    let operands = Operands::new(&case.tensor("in.states")?, &case.tensor("in.codes")?)?;
    let layer = SingleLayer::new(&weights);
    let (states, codes) = (operands.x.view(), operands.codes.view());
    let y = operands.restore(&layer.feed_forward(spec, states, codes)?)?;
    check_all(case, &[("y", &y)])
}

/// Features and codes of modules with all dimensions before the modules as one.
struct Operands {
    /// `[batch, modules, in]`.
    x: Array3<f32>,
    /// `[1 or batch, modules, code]`.
    codes: Array3<f32>,
    /// Dimensions of the result but the last.
    leading: Vec<i64>,
}

impl Operands {
    fn new(x: &Tensor, codes: &Tensor) -> CaseResult<Self> {
        let leading = broadcast(&x.size(), &codes.size())?;
        let modules = leading.last().copied().unwrap_or(1);
        let full = |tensor: &Tensor, leading: &[i64]| -> CaseResult<Array3<f32>> {
            let width = tensor.size().last().copied().unwrap_or(1);
            let mut size = leading.to_vec();
            size.push(width);
            let rows = tensor.f_expand(size.as_slice(), false)?;
            array_of("x or codes", &rows.f_reshape([-1, modules, width])?)
        };
        // Codes of the modules alone stay one set for all.
        let own = codes.size().iter().rev().skip(2).any(|&size| size != 1);
        let one = codes.dim() > 1 && !own;
        let codes = if one {
            let size = codes.size();
            let last = codes.f_reshape(&size[size.len() - 2..])?;
            full(&last, &[modules])?
        } else {
            full(codes, &leading)?
        };
        Ok(Self {
            x: full(x, &leading)?,
            codes,
            leading,
        })
    }

    /// A result in the shape of the operands.
    fn restore(&self, y: &Array3<f32>) -> CaseResult<Tensor> {
        let y = tensor(y)?;
        let mut size = self.leading.clone();
        size.extend(y.size().last());
        Ok(y.f_view(size.as_slice())?)
    }
}

/// The leading dimensions to which those of both shapes broadcast.
fn broadcast(x: &[i64], codes: &[i64]) -> CaseResult<Vec<i64>> {
    let count = x.len().max(codes.len()).saturating_sub(1);
    let at = |shape: &[i64], dim: usize| {
        let from_end = count - dim + 1;
        shape.len().checked_sub(from_end).map_or(1, |at| shape[at])
    };
    let sizes = (0..count).map(|dim| match (at(x, dim), at(codes, dim)) {
        (a, b) if a == b || b == 1 => Ok(a),
        (1, b) => Ok(b),
        _ => Err(CaseError::Broken(format!(
            "{x:?} and {codes:?} do not broadcast"
        ))),
    });
    sizes.collect()
}
