//! Writing named tensors to a file.

use std::collections::BTreeMap;
use std::path::Path;

use nac_modules::params::TensorFile;
use tch::Tensor;

use super::error::{Result, WeightsError};
use super::format::Format;
use super::torch;
use nac_train::storage::{self, refuse_existing};

/// Writes tensors under their names. The file appears whole or not at all; an existing one is replaced only
/// with `replace`.
///
/// # Errors
/// [`TrainError::Exists`](nac_train::TrainError::Exists); an element type that the format lacks; the folder cannot be written.
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
/// [`TrainError::Exists`](nac_train::TrainError::Exists); the folder cannot be written.
pub fn write_text(path: &Path, text: &str, replace: bool) -> Result<()> {
    refuse_existing(path, replace)?;
    Ok(storage::write_atomically(path, text.as_bytes())?)
}
