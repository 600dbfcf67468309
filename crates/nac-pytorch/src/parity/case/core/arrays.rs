//! Between tensors of a golden and plain arrays.

use std::collections::BTreeMap;

use nac_engine::ModelWeights;
use ndarray::{Array, Array3, Array4, Dimension};
use tch::{Kind, Tensor};

use super::super::context::Case;
use super::super::error::{CaseError, CaseResult};

/// All parameters of the golden, by their names.
pub(super) fn weights(case: &Case<'_>) -> CaseResult<ModelWeights> {
    let mut weights = ModelWeights::new();
    for (name, tensor) in case.golden().below("param.") {
        if tensor.is_floating_point() {
            weights.insert(name, &shape(tensor), values(tensor)?)?;
        }
    }
    Ok(weights)
}

/// The input `in.<name>` as `[batch, items, features]`; what is the same for all examples has a batch of one.
pub(super) fn input(case: &Case<'_>, name: &str) -> CaseResult<Array3<f32>> {
    array_of(name, &case.tensor(&format!("in.{name}"))?)
}

/// A tensor `[items, features]` or `[batch, items, features]`; the former has a batch of one.
pub(super) fn array_of(name: &str, tensor: &Tensor) -> CaseResult<Array3<f32>> {
    match shape(tensor)[..] {
        [items, features] => array((1, items, features), tensor),
        [batch, items, features] => array((batch, items, features), tensor),
        ref other => Err(CaseError::Broken(format!("`{name}` has shape {other:?}"))),
    }
}

/// The input `in.<name>` as `[batch, channels, height, width]`.
pub(super) fn image(case: &Case<'_>, name: &str) -> CaseResult<Array4<f32>> {
    let tensor = case.tensor(&format!("in.{name}"))?;
    match shape(&tensor)[..] {
        [batch, channels, height, width] => array((batch, channels, height, width), &tensor),
        ref other => Err(CaseError::Broken(format!(
            "`in.{name}` has shape {other:?}"
        ))),
    }
}

fn array<D: Dimension>(
    shape: impl ndarray::ShapeBuilder<Dim = D>,
    tensor: &Tensor,
) -> CaseResult<Array<f32, D>> {
    Array::from_shape_vec(shape, values(tensor)?)
        .map_err(|error| CaseError::Broken(error.to_string()))
}

fn shape(tensor: &Tensor) -> Vec<usize> {
    let size = tensor.size();
    size.iter()
        .filter_map(|&n| usize::try_from(n).ok())
        .collect()
}

fn values(tensor: &Tensor) -> CaseResult<Vec<f32>> {
    let flat = tensor.f_detach()?.f_to_kind(Kind::Float)?.f_contiguous()?;
    Ok(Vec::try_from(flat.f_view([-1_i64])?)?)
}

/// A tensor with the numbers of an array.
pub(super) fn tensor<D: Dimension>(array: &Array<f32, D>) -> CaseResult<Tensor> {
    let values: Vec<f32> = array.iter().copied().collect();
    let shape: Vec<i64> = array.shape().iter().map(|&n| n as i64).collect();
    Ok(Tensor::f_from_slice(&values)?.f_view(shape.as_slice())?)
}

/// Compares one output and the sum of its squares.
pub(super) fn check<D: Dimension>(
    case: &mut Case<'_>,
    name: &str,
    y: &Array<f32, D>,
) -> CaseResult<()> {
    let y = tensor(y)?;
    check_all(case, &[(name, &y)])
}

/// Compares outputs and the sum of their squares; every recorded draw must have been used, and the engine draws none.
pub(super) fn check_all(case: &mut Case<'_>, outputs: &[(&str, &Tensor)]) -> CaseResult<()> {
    case.noise_is_used()?;
    case.check_squares(outputs, &BTreeMap::new(), None)
}
