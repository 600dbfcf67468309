//! The size of a tensor's entries.

use tch::{Device, Kind, Tensor};

/// Largest finite magnitude of a tensor; 0 if it has none.
///
/// # Errors
/// libtorch fails.
pub fn largest_finite(tensor: &Tensor) -> Result<f64, tch::TchError> {
    let values = plain(tensor)?;
    let finite = values.f_masked_select(&values.f_isfinite()?)?;
    if finite.numel() == 0 {
        return Ok(0.0);
    }
    finite.f_abs()?.f_max()?.f_double_value(&[])
}

/// The values in double precision on the CPU, without history.
pub(super) fn plain(tensor: &Tensor) -> Result<Tensor, tch::TchError> {
    tensor
        .f_detach()?
        .f_to_device(Device::Cpu)?
        .f_to_kind(Kind::Double)
}
