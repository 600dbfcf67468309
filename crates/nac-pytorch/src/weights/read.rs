//! Reading named tensors from a file of any format.

use std::collections::BTreeMap;
use std::path::Path;

use nac_modules::params::TensorFile;
use tch::Tensor;

use super::error::{Result, WeightsError};
use super::format::Format;
use super::torch::TorchFile;

/// Metadata key that marks a checkpoint of a run; see [`checkpoint`](nac_train::checkpoint).
pub(super) const CHECKPOINT_MARK: &str = "nac";
/// Parts of a checkpoint of a run: prefixes of its names.
pub(super) const CHECKPOINT_PARTS: [&str; 3] = ["model", "optim", "loss"];

/// Named tensors of a file.
#[derive(Debug)]
pub struct StateDict {
    /// Which part of the file it is; empty for all of it.
    pub key: String,
    /// Tensors by name, on the CPU.
    pub tensors: BTreeMap<String, Tensor>,
}

/// Reads the tensors of a file, or of the part under `key`.
///
/// Without `key`: all of a safetensors file, the model of a run's checkpoint, and the only dictionary of named
/// tensors of a PyTorch file.
///
/// # Errors
/// The file is damaged or of another format; a PyTorch file holds more than tensors and plain containers; or
/// [`WeightsError::Key`] with all keys there are.
pub fn read(path: &Path, key: Option<&str>) -> Result<StateDict> {
    match Format::detect(path)? {
        Format::Safetensors => read_safetensors(path, key),
        Format::Torch => read_torch(path, key),
    }
}

fn read_safetensors(path: &Path, key: Option<&str>) -> Result<StateDict> {
    let file = TensorFile::read(path)?;
    let is_checkpoint = file.metadata.contains_key(CHECKPOINT_MARK);
    let available: Vec<String> = CHECKPOINT_PARTS
        .iter()
        .filter(|part| is_checkpoint && file.tensors.keys().any(|name| in_part(name, part)))
        .map(ToString::to_string)
        .collect();
    let key = match key {
        None if is_checkpoint => CHECKPOINT_PARTS[0],
        None => {
            return Ok(StateDict {
                key: String::new(),
                tensors: file.tensors,
            });
        }
        Some(key) => key,
    };
    if !available.iter().any(|part| part == key) {
        let available = if available.is_empty() {
            vec!["(all, without --key)".to_owned()]
        } else {
            available
        };
        return Err(WeightsError::Key {
            path: path.to_owned(),
            key: Some(key.to_owned()),
            available,
        });
    }
    let strip = |(name, tensor): (String, Tensor)| {
        Some((
            name.strip_prefix(key)?.strip_prefix('.')?.to_owned(),
            tensor,
        ))
    };
    Ok(StateDict {
        key: key.to_owned(),
        tensors: file.tensors.into_iter().filter_map(strip).collect(),
    })
}

pub(super) fn in_part(name: &str, part: &str) -> bool {
    name.strip_prefix(part)
        .is_some_and(|rest| rest.starts_with('.'))
}

fn read_torch(path: &Path, key: Option<&str>) -> Result<StateDict> {
    let mut file = TorchFile::open(path)?;
    let parts = file.parts()?;
    let part = match (key, parts.as_slice()) {
        (None, [only]) => Some(only),
        (None, _) => None,
        (Some(key), parts) => parts.iter().find(|part| part.key == key),
    };
    let part = part.ok_or_else(|| WeightsError::Key {
        path: path.to_owned(),
        key: key.map(str::to_owned),
        available: parts.iter().map(|part| shown_key(&part.key)).collect(),
    })?;
    Ok(StateDict {
        key: part.key.clone(),
        tensors: file.read(part)?,
    })
}

fn shown_key(key: &str) -> String {
    if key.is_empty() {
        "(all, without --key)".to_owned()
    } else {
        key.to_owned()
    }
}
