//! What is in a file of weights, without reading tensors of PyTorch files.

use std::collections::BTreeMap;
use std::path::Path;

use nac_modules::params::TensorFile;

use super::error::Result;
use super::format::Format;
use super::kind_name;
use super::read::{CHECKPOINT_MARK, CHECKPOINT_PARTS, in_part};
use super::torch::TorchFile;

/// One tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorHeader {
    /// Its name within its part.
    pub name: String,
    /// Size of each dimension.
    pub shape: Vec<u64>,
    /// Element type, such as `f32`.
    pub kind: String,
    /// Number of elements.
    pub elements: u64,
    /// Size in bytes.
    pub bytes: u64,
}

/// Tensors that belong together, as a model or a state of an optimizer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorPart {
    /// What to give as key to read it; empty for the whole file.
    pub key: String,
    /// In the order of their names.
    pub tensors: Vec<TensorHeader>,
}

impl TensorPart {
    /// Elements of all tensors.
    pub fn elements(&self) -> u64 {
        let elements = self.tensors.iter().map(|tensor| tensor.elements);
        elements.fold(0, u64::saturating_add)
    }

    /// Bytes of all tensors.
    pub fn bytes(&self) -> u64 {
        let bytes = self.tensors.iter().map(|tensor| tensor.bytes);
        bytes.fold(0, u64::saturating_add)
    }
}

/// Everything in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contents {
    /// Its format.
    pub format: Format,
    /// Text metadata; for PyTorch files the numbers and strings beside the tensors.
    pub metadata: BTreeMap<String, String>,
    /// Its parts.
    pub parts: Vec<TensorPart>,
}

/// Describes a file.
///
/// # Errors
/// As [`read`](super::read).
pub fn inspect(path: &Path) -> Result<Contents> {
    match Format::detect(path)? {
        Format::Safetensors => inspect_safetensors(path),
        Format::Torch => inspect_torch(path),
    }
}

fn inspect_safetensors(path: &Path) -> Result<Contents> {
    let file = TensorFile::read(path)?;
    let is_checkpoint = file.metadata.contains_key(CHECKPOINT_MARK);
    let mut parts: BTreeMap<usize, TensorPart> = BTreeMap::new();
    for (name, tensor) in &file.tensors {
        let place = CHECKPOINT_PARTS
            .iter()
            .position(|part| is_checkpoint && in_part(name, part));
        let key = place.map_or("", |place| CHECKPOINT_PARTS[place]);
        let part = parts
            .entry(place.map_or(0, |place| place + 1))
            .or_insert_with(|| TensorPart {
                key: key.to_owned(),
                tensors: Vec::new(),
            });
        let name = name.strip_prefix(key).unwrap_or(name);
        let elements = tensor.numel() as u64;
        part.tensors.push(TensorHeader {
            name: name.strip_prefix('.').unwrap_or(name).to_owned(),
            shape: tensor.size().iter().map(|&size| size as u64).collect(),
            kind: kind_name(tensor.kind()),
            elements,
            bytes: elements * tensor.kind().elt_size_in_bytes() as u64,
        });
    }
    Ok(Contents {
        format: Format::Safetensors,
        metadata: file.metadata,
        parts: parts.into_values().collect(),
    })
}

fn inspect_torch(path: &Path) -> Result<Contents> {
    let file = TorchFile::open(path)?;
    let parts = file.parts()?.into_iter().map(|part| TensorPart {
        tensors: file
            .headers(&part)
            .into_iter()
            .map(|(name, kind, shape)| {
                let sizes = shape.iter();
                let elements = sizes.fold(1_u64, |n, &size| n.saturating_mul(size));
                TensorHeader {
                    name,
                    shape,
                    kind: kind_name(kind),
                    elements,
                    bytes: elements.saturating_mul(kind.elt_size_in_bytes() as u64),
                }
            })
            .collect(),
        key: part.key,
    });
    Ok(Contents {
        format: Format::Torch,
        metadata: file.notes(),
        parts: parts.collect(),
    })
}
