//! Tensors in safetensors files, and loading them into a store.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};
use tch::{Kind, Tensor};

use super::ParamStore;
use crate::error::{ModuleError, Result};

/// Named tensors with text metadata: the content of one safetensors file.
#[derive(Debug, Default)]
pub struct TensorFile {
    /// Tensors by name, on the CPU.
    pub tensors: BTreeMap<String, Tensor>,
    /// Text metadata by key.
    pub metadata: BTreeMap<String, String>,
}

impl TensorFile {
    /// Reads a file.
    ///
    /// # Errors
    /// The file cannot be read, is truncated or corrupt, or has an element type libtorch lacks.
    pub fn read(path: &Path) -> Result<Self> {
        let fail = |reason: String| ModuleError::File {
            path: path.to_owned(),
            reason,
        };
        let bytes = fs::read(path).map_err(|e| fail(e.to_string()))?;
        Self::from_bytes(&bytes).map_err(|e| fail(format!("not a usable safetensors file: {e}")))
    }

    /// Parses the bytes of a file.
    ///
    /// # Errors
    /// A description of what is wrong with the bytes.
    pub fn from_bytes(bytes: &[u8]) -> std::result::Result<Self, String> {
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(|e| e.to_string())?;
        let metadata = header
            .metadata()
            .clone()
            .unwrap_or_default()
            .into_iter()
            .collect();
        let parsed = SafeTensors::deserialize(bytes).map_err(|e| e.to_string())?;
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

    /// The bytes of the file. Tensors lie in the order of element size and name, whatever the order of calls.
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
        let metadata: Option<HashMap<String, String>> =
            (!self.metadata.is_empty()).then(|| self.metadata.clone().into_iter().collect());
        serialize(views, metadata).map_err(|e| ModuleError::Setting {
            name: "weights".into(),
            value: String::new(),
            reason: e.to_string(),
        })
    }
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
            metadata: [("step".to_owned(), "7".to_owned())].into(),
        };
        let bytes = file.to_bytes().unwrap();
        let back = TensorFile::from_bytes(&bytes).unwrap();
        assert_eq!(back.tensors, file.tensors);
        assert_eq!(back.metadata, file.metadata);
        assert_eq!(back.to_bytes().unwrap(), bytes);
        assert!(
            TensorFile::from_bytes(&bytes[..bytes.len() - 1]).is_err(),
            "a truncated file is refused"
        );
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
