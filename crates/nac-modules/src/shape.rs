//! Shape checks at public boundaries, so that a bad shape is an error and not a panic inside libtorch.

use tch::Tensor;

use crate::error::{ModuleError, Result};

/// One expected dimension: a name to print, and a size if it is fixed.
pub(crate) type Dim<'a> = (&'a str, Option<i64>);

/// Checks rank and the fixed dimensions of `tensor`.
pub(crate) fn check(
    op: &'static str,
    name: &str,
    tensor: &Tensor,
    expected: &[Dim<'_>],
) -> Result<()> {
    let found = tensor.size();
    let fits = found.len() == expected.len()
        && found
            .iter()
            .zip(expected)
            .all(|(size, (_, fixed))| fixed.is_none_or(|fixed| fixed == *size));
    if fits {
        Ok(())
    } else {
        Err(mismatch(op, name, &found, expected))
    }
}

/// Like [`check`], for per-module tensors that may have a leading batch dimension:
/// `[modules, dim]` (shared by the batch) or `[batch, modules, dim]` (one set per example).
pub(crate) fn check_per_module(
    op: &'static str,
    name: &str,
    tensor: &Tensor,
    batch: i64,
    modules: i64,
    dim: Option<i64>,
) -> Result<()> {
    let flat = [("modules", Some(modules)), ("dim", dim)];
    if tensor.dim() == 3 {
        check(
            op,
            name,
            tensor,
            &[("batch", Some(batch)), flat[0], flat[1]],
        )
    } else {
        check(op, name, tensor, &flat)
    }
}

fn mismatch(op: &'static str, name: &str, found: &[i64], expected: &[Dim<'_>]) -> ModuleError {
    let dims: Vec<String> = expected
        .iter()
        .map(|(label, size)| match size {
            Some(size) => format!("{label}={size}"),
            None => (*label).to_owned(),
        })
        .collect();
    ModuleError::Shape {
        op,
        name: name.to_owned(),
        expected: format!("[{}]", dims.join(", ")),
        found: found.to_vec(),
    }
}

/// Checks the last dimension, whatever comes before it.
pub(crate) fn check_last(op: &'static str, name: &str, tensor: &Tensor, dim: i64) -> Result<()> {
    let found = tensor.size();
    if found.last() == Some(&dim) {
        return Ok(());
    }
    Err(ModuleError::Shape {
        op,
        name: name.to_owned(),
        expected: format!("[..., {dim}]"),
        found,
    })
}

/// Refuses a size of zero and converts to libtorch's index type.
pub(crate) fn positive(name: &str, value: usize) -> Result<i64> {
    match i64::try_from(value) {
        Ok(value) if value > 0 => Ok(value),
        _ => Err(ModuleError::Setting {
            name: name.to_owned(),
            value: value.to_string(),
            reason: "must be at least 1".into(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind};

    #[test]
    fn names_operation_and_both_shapes() {
        let tensor = Tensor::zeros([2, 3], (Kind::Float, Device::Cpu));
        let error = check("ModFC", "x", &tensor, &[("batch", None), ("in", Some(4))])
            .expect_err("3 is not 4");
        assert_eq!(
            error.to_string(),
            "ModFC: `x` must have shape [batch, in=4], found [2, 3]"
        );
        assert!(check("ModFC", "x", &tensor, &[("batch", None), ("in", Some(3))]).is_ok());
    }

    #[test]
    fn per_module_tensors_may_be_batched() {
        let options = (Kind::Float, Device::Cpu);
        assert!(
            check_per_module(
                "op",
                "codes",
                &Tensor::zeros([5, 8], options),
                2,
                5,
                Some(8)
            )
            .is_ok()
        );
        assert!(
            check_per_module(
                "op",
                "codes",
                &Tensor::zeros([2, 5, 8], options),
                2,
                5,
                Some(8)
            )
            .is_ok()
        );
        assert!(
            check_per_module(
                "op",
                "codes",
                &Tensor::zeros([3, 5, 8], options),
                2,
                5,
                Some(8)
            )
            .is_err()
        );
    }
}
