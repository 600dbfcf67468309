//! What tokenizers of sequences have in common: checks, windows, positions.

use tch::{Kind, Tensor};

use crate::error::{ModuleError, Result};
use crate::inputs::Inputs;
use crate::params::{Init, Scope};

/// The symbols of an input, `[batch, length]` of 64-bit integers.
///
/// # Errors
/// The input is missing, has another shape, is longer than `max_len`, or holds a symbol that is not in `0..vocabulary`.
pub(super) fn read(
    op: &'static str,
    inputs: &Inputs,
    name: &str,
    (vocabulary, max_len): (usize, usize),
) -> Result<Tensor> {
    let symbols = inputs.get(name)?.f_to_kind(Kind::Int64)?;
    let size = symbols.size();
    if size.len() != 2 || size[1] > max_len as i64 || size[1] == 0 {
        return Err(ModuleError::Shape {
            op,
            name: name.to_owned(),
            expected: format!("[batch, 1..={max_len}]"),
            found: size,
        });
    }
    if symbols.numel() == 0 {
        return Ok(symbols);
    }
    let (low, high) = (
        symbols.min().int64_value(&[]),
        symbols.max().int64_value(&[]),
    );
    if low < 0 || high >= vocabulary as i64 {
        return Err(ModuleError::Setting {
            name: name.to_owned(),
            value: format!("{low}..={high}"),
            reason: format!("symbols must lie in 0..{vocabulary}"),
        });
    }
    Ok(symbols)
}

/// Sequences cut into windows, zeros or false at the end of the last.
///
/// # Shapes
/// - x: `[batch, length, …]`
/// - output: `[batch, ⌈length / window⌉, window, …]`
pub(super) fn windows(x: &Tensor, window: i64) -> Result<Tensor> {
    let mut size = x.size();
    let tokens = (size[1] + window - 1) / window;
    let missing = tokens * window - size[1];
    size.splice(1..2, [tokens, window]);
    if missing == 0 {
        return Ok(x.f_reshape(&size)?);
    }
    let mut padding = vec![0; 2 * (size.len() - 2)];
    if let Some(end) = padding.last_mut() {
        *end = missing;
    }
    Ok(x.f_constant_pad_nd(padding)?.f_reshape(&size)?)
}

/// Whether each window has an element that counts.
///
/// # Shapes
/// - real: `[batch, length]`, boolean
/// - output: `[batch, ⌈length / window⌉]`, boolean
pub(super) fn any(real: &Tensor, window: i64) -> Result<Tensor> {
    Ok(windows(real, window)?.f_any_dim(2, false)?)
}

/// The learned vectors of token positions, parameter `positions`, if they have features.
pub(super) fn positions(
    scope: &mut Scope<'_>,
    tokens: usize,
    dim: usize,
) -> Result<Option<Tensor>> {
    let size = [tokens as i64, dim as i64];
    (dim > 0)
        .then(|| scope.parameter("positions", &size, Init::Normal { std: 1.0 }))
        .transpose()
}

/// Tokens, `[batch, tokens, dim]`, with the vectors of the first positions beside them.
pub(super) fn beside(tokens: Tensor, positions: Option<&Tensor>) -> Result<Tensor> {
    let Some(positions) = positions else {
        return Ok(tokens);
    };
    let size = tokens.size();
    let positions = positions.f_narrow(0, 0, size[1])?.f_unsqueeze(0)?;
    let positions = positions.f_expand([size[0], -1, -1], false)?;
    Ok(Tensor::f_cat(&[tokens, positions], -1)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_filled_up() {
        let x = Tensor::from_slice(&[1_i64, 2, 3, 4, 5]).view([1, 5]);
        let cut = windows(&x, 2).unwrap();
        assert_eq!(cut.size(), [1, 3, 2]);
        let values = Vec::<i64>::try_from(cut.flatten(0, -1)).unwrap();
        assert_eq!(values, [1, 2, 3, 4, 5, 0]);
        let real = Tensor::from_slice(&[true, false, false, false, true]).view([1, 5]);
        let there = Vec::<bool>::try_from(any(&real, 2).unwrap().flatten(0, -1)).unwrap();
        assert_eq!(there, [true, false, true]);
        let features = x.to_kind(Kind::Float).view([1, 5, 1]);
        assert_eq!(windows(&features, 3).unwrap().size(), [1, 2, 3, 1]);
        assert_eq!(windows(&features, 1).unwrap().size(), [1, 5, 1, 1]);
    }
}
