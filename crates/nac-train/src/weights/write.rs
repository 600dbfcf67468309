//! Writing named tensors to a file.

use std::collections::BTreeMap;
use std::path::Path;

use nac_modules::params::TensorFile;
use tch::Tensor;

use super::error::{Result, WeightsError};
use super::format::Format;
use super::torch;
use crate::storage;

/// Writes tensors under their names. The file appears whole or not at all; an existing one is replaced only
/// with `replace`.
///
/// # Errors
/// [`WeightsError::Exists`]; an element type that the format lacks; the folder cannot be written.
pub fn write(
    path: &Path,
    tensors: &BTreeMap<String, Tensor>,
    format: Format,
    replace: bool,
) -> Result<()> {
    refuse_existing(path, replace)?;
    let bytes = match format {
        Format::Safetensors => {
            let tensors = tensors.iter();
            let file = TensorFile {
                tensors: tensors
                    .map(|(name, tensor)| (name.clone(), tensor.shallow_clone()))
                    .collect(),
                // Readers of other projects look for this.
                metadata: [("format".to_owned(), "pt".to_owned())].into(),
            };
            file.to_bytes()?
        }
        Format::Torch => torch::to_bytes(tensors).map_err(|reason| WeightsError::File {
            path: path.to_owned(),
            reason,
        })?,
    };
    Ok(storage::write_atomically(path, &bytes)?)
}

/// Writes settings, as [`write()`] writes tensors.
///
/// # Errors
/// [`WeightsError::Exists`]; the folder cannot be written.
pub fn write_text(path: &Path, text: &str, replace: bool) -> Result<()> {
    refuse_existing(path, replace)?;
    Ok(storage::write_atomically(path, text.as_bytes())?)
}

/// An error if there is something that is not to be replaced.
pub(crate) fn refuse_existing(path: &Path, replace: bool) -> Result<()> {
    if path.exists() && !replace {
        return Err(WeightsError::Exists {
            path: path.to_owned(),
        });
    }
    Ok(())
}
