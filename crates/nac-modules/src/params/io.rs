//! Tensors in safetensors files, and loading them into a store.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use nac_core::digest;
use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};
use serde_json::{Map, Value};
use tch::{Kind, Tensor};

use super::ParamStore;
use crate::error::{ModuleError, Result};

/// Named tensors with text metadata: the content of one safetensors file.
#[derive(Debug, Default)]
pub struct TensorFile {
    /// Tensors by name, on the CPU.
    pub tensors: BTreeMap<String, Tensor>,
    /// Text metadata by key. A file that was read holds its digest under [`digest::KEY`], if it has one.
    pub metadata: BTreeMap<String, String>,
}

impl TensorFile {
    /// Reads a file.
    ///
    /// # Errors
    /// The file cannot be read, is truncated or corrupt, does not have the digest it was written with, or has an element
    /// type libtorch lacks.
    pub fn read(path: &Path) -> Result<Self> {
        let fail = |reason: String| ModuleError::File {
            path: path.to_owned(),
            reason,
        };
        let bytes = fs::read(path).map_err(|e| fail(e.to_string()))?;
        Self::from_bytes(&bytes).map_err(fail)
    }

    /// Parses the bytes of a file.
    ///
    /// # Errors
    /// A description of what is wrong with the bytes.
    pub fn from_bytes(bytes: &[u8]) -> std::result::Result<Self, String> {
        let found = digest::check(bytes).map_err(|e| e.to_string())?;
        let unusable = |e| format!("not a usable safetensors file: {e}");
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(unusable)?;
        let metadata: BTreeMap<String, String> = header
            .metadata()
            .clone()
            .unwrap_or_default()
            .into_iter()
            .collect();
        if found.is_none() && metadata.contains_key(digest::KEY) {
            return Err(format!("damaged: its `{}` is not readable", digest::KEY));
        }
        let parsed = SafeTensors::deserialize(bytes).map_err(unusable)?;
        let mut tensors = BTreeMap::new();
        for (name, view) in parsed.iter() {
            let kind = kind_of(view.dtype())
                .ok_or_else(|| format!("`{name}` has element type {:?}", view.dtype()))?;
            let shape: Vec<i64> = view.shape().iter().map(|&d| d as i64).collect();
            let tensor = Tensor::f_from_data_size(view.data(), &shape, kind)
                .map_err(|e| format!("`{name}`: {e}"))?;
            tensors.insert(name.to_owned(), tensor);
        }
        Ok(Self { tensors, metadata })
    }

    /// The bytes of the file, with their digest in the metadata. Tensors lie in the order of element size and name,
    /// whatever the order of calls.
    ///
    /// # Errors
    /// A tensor has an element type that safetensors lacks.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut buffers = Vec::with_capacity(self.tensors.len());
        for (name, tensor) in &self.tensors {
            let dtype = dtype_of(tensor.kind()).ok_or_else(|| ModuleError::Setting {
                name: name.clone(),
                value: format!("{:?}", tensor.kind()),
                reason: "this element type cannot be stored".into(),
            })?;
            let tensor = tensor
                .f_detach()?
                .f_to_device(tch::Device::Cpu)?
                .f_contiguous()?;
            let mut bytes = vec![0_u8; tensor.numel() * tensor.kind().elt_size_in_bytes()];
            tensor.f_copy_data_u8(&mut bytes, tensor.numel())?;
            let shape: Vec<usize> = tensor.size().iter().map(|&d| d as usize).collect();
            buffers.push((name.clone(), dtype, shape, bytes));
        }
        let views: Vec<(String, TensorView<'_>)> = buffers
            .iter()
            .map(|(name, dtype, shape, bytes)| {
                TensorView::new(*dtype, shape.clone(), bytes).map(|view| (name.clone(), view))
            })
            .collect::<std::result::Result<_, _>>()
            .map_err(|e| ModuleError::Setting {
                name: "tensor".into(),
                value: String::new(),
                reason: e.to_string(),
            })?;
        let fail = |reason: String| ModuleError::Setting {
            name: "weights".into(),
            value: String::new(),
            reason,
        };
        let mut bytes = serialize(views, None).map_err(|e| fail(e.to_string()))?;
        let mut metadata = self.metadata.clone();
        metadata.insert(digest::KEY.into(), digest::PLACEHOLDER.into());
        add_metadata(&mut bytes, &metadata).map_err(|e| fail(e.to_string()))?;
        let _ = digest::seal(&mut bytes);
        Ok(bytes)
    }
}

/// Puts metadata into the header of a file without, in the order of their keys: the same content gives the same bytes.
fn add_metadata(file: &mut Vec<u8>, metadata: &BTreeMap<String, String>) -> serde_json::Result<()> {
    let length = file
        .first_chunk()
        .map_or(0, |bytes| u64::from_le_bytes(*bytes));
    let end = 8 + usize::try_from(length).unwrap_or(0);
    let entries: Map<String, Value> = serde_json::from_slice(file.get(8..end).unwrap_or_default())?;
    let mut header = Map::new();
    header.insert("__metadata__".into(), serde_json::to_value(metadata)?);
    header.extend(entries);
    let mut text = serde_json::to_vec(&header)?;
    // Tensors start at a multiple of eight bytes.
    text.resize(text.len().next_multiple_of(8), b' ');
    let length = (text.len() as u64).to_le_bytes();
    file.splice(..end, length.into_iter().chain(text));
    Ok(())
}

impl ParamStore {
    /// Copies of all tensors, on the CPU, by name; shared tensors under each of their names.
    ///
    /// # Errors
    /// libtorch fails to copy.
    pub fn export(&self) -> Result<BTreeMap<String, Tensor>> {
        let copy = |tensor: &Tensor| -> Result<Tensor> {
            Ok(tensor.f_detach()?.f_to_device(tch::Device::Cpu)?.copy())
        };
        tch::no_grad(|| {
            let mut tensors = BTreeMap::new();
            for (name, entry) in self.iter() {
                tensors.insert(name.to_owned(), copy(&entry.tensor)?);
            }
            for (alias, name) in self.aliases() {
                if let Some(tensor) = self.get(name) {
                    tensors.insert(alias.to_owned(), copy(tensor)?);
                }
            }
            Ok(tensors)
        })
    }

    /// Overwrites every tensor of the store with the one of the same name.
    ///
    /// Nothing is changed unless all names and shapes fit. Second names of shared tensors may be missing;
    /// where they are present they must hold the same values.
    ///
    /// # Errors
    /// [`ModuleError::Weights`] with all missing, unexpected and mis-shaped names together.
    pub fn import(&mut self, source_name: &str, tensors: &BTreeMap<String, Tensor>) -> Result<()> {
        let missing: Vec<String> = self
            .entries
            .keys()
            .filter(|name| !tensors.contains_key(*name))
            .cloned()
            .collect();
        let unexpected: Vec<String> = tensors
            .keys()
            .filter(|name| !self.entries.contains_key(*name) && !self.aliases.contains_key(*name))
            .cloned()
            .collect();
        let mut misshaped: Vec<String> = self
            .entries
            .iter()
            .filter_map(|(name, entry)| {
                let (expected, found) = (entry.tensor.size(), tensors.get(name)?.size());
                (expected != found)
                    .then(|| format!("{name}: expected {expected:?}, found {found:?}"))
            })
            .collect();
        misshaped.extend(self.aliases.iter().filter_map(|(alias, name)| {
            let (second, first) = (tensors.get(alias)?, tensors.get(name)?);
            (second != first).then(|| format!("{alias}: must equal {name}, they are one tensor"))
        }));
        if !(missing.is_empty() && unexpected.is_empty() && misshaped.is_empty()) {
            return Err(ModuleError::Weights {
                source_name: source_name.to_owned(),
                missing,
                unexpected,
                misshaped,
            });
        }
        tch::no_grad(|| {
            for (name, entry) in &mut self.entries {
                if let Some(source) = tensors.get(name) {
                    entry.tensor.f_copy_(source)?;
                }
            }
            Ok(())
        })
    }
}

fn kind_of(dtype: Dtype) -> Option<Kind> {
    Some(match dtype {
        Dtype::BOOL => Kind::Bool,
        Dtype::U8 => Kind::Uint8,
        Dtype::I8 => Kind::Int8,
        Dtype::I16 => Kind::Int16,
        Dtype::I32 => Kind::Int,
        Dtype::I64 => Kind::Int64,
        Dtype::F16 => Kind::Half,
        Dtype::BF16 => Kind::BFloat16,
        Dtype::F32 => Kind::Float,
        Dtype::F64 => Kind::Double,
        _ => return None,
    })
}

fn dtype_of(kind: Kind) -> Option<Dtype> {
    Some(match kind {
        Kind::Bool => Dtype::BOOL,
        Kind::Uint8 => Dtype::U8,
        Kind::Int8 => Dtype::I8,
        Kind::Int16 => Dtype::I16,
        Kind::Int => Dtype::I32,
        Kind::Int64 => Dtype::I64,
        Kind::Half => Dtype::F16,
        Kind::BFloat16 => Dtype::BF16,
        Kind::Float => Dtype::F32,
        Kind::Double => Dtype::F64,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::Init;
    use super::*;
    use tch::Device;

    fn store(seed: u64) -> ParamStore {
        let mut store = ParamStore::new(Device::Cpu, Kind::Float, seed);
        let _ = store
            .root()
            .sub("a")
            .parameter("weight", &[2, 3], Init::Normal { std: 1.0 })
            .unwrap();
        let _ = store.root().buffer("bandwidth", &[], Init::Ones).unwrap();
        store
    }

    #[test]
    fn bytes_round_trip_with_metadata() {
        let file = TensorFile {
            tensors: store(1).export().unwrap(),
            metadata: (0..9)
                .map(|i| (format!("key{i}"), format!("\"{i}\"")))
                .collect(),
        };
        let bytes = file.to_bytes().unwrap();
        let mut back = TensorFile::from_bytes(&bytes).unwrap();
        assert_eq!(back.tensors, file.tensors);
        assert_eq!(back.to_bytes().unwrap(), bytes);
        assert!(back.metadata.remove(digest::KEY).is_some());
        assert_eq!(back.metadata, file.metadata);
        // Every flipped bit and every cut is refused, also in the header, but for the spelling of the digest's own key.
        let header = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        for bit in (0..header * 8).chain([bytes.len() * 8 - 1]) {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            if let Ok(read) = TensorFile::from_bytes(&damaged) {
                assert_eq!(read.tensors, file.tensors, "bit {bit}");
            }
        }
        for length in [0, 7, header, bytes.len() - 1] {
            assert!(TensorFile::from_bytes(&bytes[..length]).is_err());
        }
    }

    #[test]
    fn import_is_all_or_nothing() {
        let (mut target, source) = (store(1), store(2));
        let before = target.export().unwrap();
        let mut tensors = source.export().unwrap();
        let weight = tensors.remove("a.weight").unwrap();
        tensors.insert("b".into(), Tensor::zeros([1], (Kind::Float, Device::Cpu)));
        let error = target.import("x", &tensors).unwrap_err().to_string();
        assert!(
            error.contains("missing (1): a.weight") && error.contains("unexpected (1): b"),
            "{error}"
        );
        assert_eq!(target.export().unwrap(), before);
        tensors.remove("b");
        tensors.insert("a.weight".into(), weight);
        target.import("x", &tensors).unwrap();
        assert_eq!(target.export().unwrap(), source.export().unwrap());
    }
}
