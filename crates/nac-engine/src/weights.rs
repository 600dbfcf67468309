//! Trained tensors by name, read from safetensors.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use half::{bf16, f16};
use ndarray::{Array2, ArrayView2, CowArray, Ix2};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use super::error::{EngineError, Result};
use super::kept::Kept;
use nac_core::{Streams, digest};

/// Tensors in single precision under their dotted names, those of the reference's `state_dict`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ModelWeights {
    tensors: BTreeMap<String, Tensor>,
}

#[derive(Debug, Clone, PartialEq)]
struct Tensor {
    shape: Vec<usize>,
    values: Vec<f32>,
}

impl ModelWeights {
    /// No tensors.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a safetensors file. Every float dtype (`F64`, `F16`, `BF16`) becomes single precision; tensors of integers
    /// are left out, since no model computes with them.
    ///
    /// # Errors
    /// [`EngineError::Read`] with the path if the file cannot be read, is no safetensors file, is damaged (see
    /// [`digest`]), or holds another dtype.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let failed = |reason: String| EngineError::Read {
            path: path.to_owned(),
            reason,
        };
        let bytes = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
        Self::parse(&bytes).map_err(failed)
    }

    /// Reads the bytes of a safetensors file.
    ///
    /// # Errors
    /// [`EngineError::Read`] without a path if they are none.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        Self::parse(bytes).map_err(|reason| EngineError::Read {
            path: "(bytes)".into(),
            reason,
        })
    }

    fn parse(bytes: &[u8]) -> Result<Self, String> {
        digest::check(bytes).map_err(|error| error.to_string())?;
        let file = SafeTensors::deserialize(bytes).map_err(|error| error.to_string())?;
        let mut weights = Self::new();
        for (name, view) in file.tensors() {
            let values = floats(&view).map_err(|dtype| format!("tensor `{name}` is {dtype:?}"))?;
            if let Some(values) = values {
                let shape = view.shape().to_vec();
                weights.tensors.insert(name, Tensor { shape, values });
            }
        }
        Ok(weights)
    }

    /// Adds or replaces a tensor.
    ///
    /// # Shapes
    /// - values: as many as `shape` says, the last dimension fastest
    ///
    /// # Errors
    /// [`EngineError::InvalidWeight`] if there are more or fewer.
    pub fn insert(
        &mut self,
        name: impl Into<String>,
        shape: &[usize],
        values: Vec<f32>,
    ) -> Result<()> {
        let name = name.into();
        if shape.iter().product::<usize>() != values.len() {
            let reason = format!("{} values do not make {shape:?}", values.len());
            return Err(EngineError::InvalidWeight { name, reason });
        }
        let shape = shape.to_vec();
        self.tensors.insert(name, Tensor { shape, values });
        Ok(())
    }

    /// Shape and values of a tensor.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<(&[usize], &[f32])> {
        let tensor = self.tensors.get(name)?;
        Some((&tensor.shape, &tensor.values))
    }

    /// Names and shapes, in order of names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[usize])> {
        self.tensors
            .iter()
            .map(|(name, tensor)| (name.as_str(), tensor.shape.as_slice()))
    }
}

/// Values in single precision; `None` for integers. The error is a dtype that is neither.
fn floats(view: &TensorView<'_>) -> Result<Option<Vec<f32>>, Dtype> {
    fn each<const N: usize>(bytes: &[u8], value: impl Fn([u8; N]) -> f32) -> Vec<f32> {
        bytes.as_chunks().0.iter().map(|b| value(*b)).collect()
    }
    let bytes = view.data();
    Ok(Some(match view.dtype() {
        Dtype::F32 => each(bytes, f32::from_le_bytes),
        Dtype::F64 => each(bytes, |b| f64::from_le_bytes(b) as f32),
        Dtype::BF16 => each(bytes, |b| bf16::from_le_bytes(b).to_f32()),
        Dtype::F16 => each(bytes, |b| f16::from_le_bytes(b).to_f32()),
        Dtype::BOOL
        | Dtype::U8
        | Dtype::I8
        | Dtype::U16
        | Dtype::I16
        | Dtype::U32
        | Dtype::I32
        | Dtype::U64
        | Dtype::I64 => return Ok(None),
        other => return Err(other),
    }))
}

/// Where tensors come from.
#[derive(Debug)]
pub(crate) struct WeightSource<'w> {
    origin: Origin<'w>,
    /// Paths whose tensors are those of another path, both with a dot at the end.
    shared: RefCell<Vec<(String, String)>>,
    /// Layers that are made of the tensors.
    kept: Kept,
}

#[derive(Debug)]
enum Origin<'w> {
    /// From a file; remembers which were read.
    Given {
        weights: &'w ModelWeights,
        read: RefCell<BTreeSet<String>>,
    },
    /// Drawn when they are read.
    Drawn {
        streams: Streams,
        drawn: RefCell<ModelWeights>,
    },
}

impl<'w> WeightSource<'w> {
    pub(crate) fn given(weights: &'w ModelWeights) -> Self {
        Self::kept_by(weights, Kept::default())
    }

    /// As [`given`](Self::given), with the layers that earlier loading of the same tensors made.
    pub(crate) fn kept_by(weights: &'w ModelWeights, kept: Kept) -> Self {
        Self {
            origin: Origin::Given {
                weights,
                read: RefCell::default(),
            },
            shared: RefCell::default(),
            kept,
        }
    }

    pub(crate) fn kept(&self) -> &Kept {
        &self.kept
    }

    /// The tensors of the file, or those that have been drawn.
    pub(crate) fn weights(&self) -> ModelWeights {
        match &self.origin {
            Origin::Given { weights, .. } => (*weights).clone(),
            Origin::Drawn { drawn, .. } => drawn.borrow().clone(),
        }
    }

    pub(crate) fn drawn(seed: u64) -> Self {
        Self {
            origin: Origin::Drawn {
                streams: Streams::new(seed),
                drawn: RefCell::default(),
            },
            shared: RefCell::default(),
            kept: Kept::default(),
        }
    }

    /// An error if there is more than was read.
    pub(crate) fn all_read(&self) -> Result<()> {
        let Origin::Given { weights, read } = &self.origin else {
            return Ok(());
        };
        let read = read.borrow();
        let names = weights.iter().map(|(name, _)| name);
        let names: Vec<String> = names
            .filter(|name| !read.contains(*name))
            .map(str::to_owned)
            .collect();
        if names.is_empty() {
            Ok(())
        } else {
            Err(EngineError::UnexpectedWeights { names })
        }
    }

    /// The name of the tensor that `name` is another name of, if its path is shared.
    fn first_name(&self, name: &str) -> Option<String> {
        let shared = self.shared.borrow();
        shared.iter().find_map(|(path, first)| {
            let rest = name.strip_prefix(path.as_str())?;
            Some(format!("{first}{rest}"))
        })
    }

    /// The one tensor of all names that share it; the file may hold it under each of them, or under the first alone.
    fn shared_tensor(
        &self,
        name: String,
        first: String,
        shape: &[usize],
    ) -> Result<Cow<'w, [f32]>> {
        let values = self.own_tensor(first.clone(), shape)?;
        match &self.origin {
            Origin::Given { weights, read } => match weights.get(&name) {
                Some(found) if found != (shape, &values[..]) => Err(EngineError::InvalidWeight {
                    name,
                    reason: format!("must equal `{first}`, they are one tensor"),
                }),
                Some(_) => {
                    read.borrow_mut().insert(name);
                    Ok(values)
                }
                None => Ok(values),
            },
            Origin::Drawn { drawn, .. } => {
                drawn.borrow_mut().insert(name, shape, values.to_vec())?;
                Ok(values)
            }
        }
    }

    fn own_tensor(&self, name: String, shape: &[usize]) -> Result<Cow<'w, [f32]>> {
        if shape.contains(&0) {
            let reason = format!("the settings make it {shape:?}, without any number");
            return Err(EngineError::InvalidWeight { name, reason });
        }
        match &self.origin {
            Origin::Given { weights, read } => match weights.get(&name) {
                None => Err(EngineError::MissingWeight {
                    name,
                    expected: shape.to_vec(),
                }),
                Some((found, _)) if found != shape => Err(EngineError::WeightShape {
                    name,
                    expected: shape.to_vec(),
                    found: found.to_vec(),
                }),
                Some((_, values)) => {
                    read.borrow_mut().insert(name);
                    Ok(Cow::Borrowed(values))
                }
            },
            Origin::Drawn { streams, drawn } => {
                let values = draw(*streams, &name, shape);
                drawn.borrow_mut().insert(name, shape, values.clone())?;
                Ok(Cow::Owned(values))
            }
        }
    }
}

/// Normal numbers, of a size that keeps states near one; a bandwidth is one.
fn draw(streams: Streams, name: &str, shape: &[usize]) -> Vec<f32> {
    let mut values = vec![0.0; shape.iter().product()];
    if name.ends_with("bandwidth") {
        values.fill(1.0);
        return values;
    }
    streams.stream(name).fill_normal(&mut values);
    let is_set = [
        "codes_",
        "signatures_",
        "states_",
        "latents",
        "query",
        "queries",
        "grid",
    ];
    let (factor, shift) = match shape.len() {
        0 => (0.0, 0.1),
        1 if name.ends_with("weight") || name.ends_with("gamma") => (0.1, 1.0),
        1 => (0.1, 0.0),
        _ if is_set.iter().any(|end| name.ends_with(end)) => (1.0, 0.0),
        _ => {
            let inputs: usize = shape[1..].iter().product();
            ((inputs as f32).sqrt().recip(), 0.0)
        }
    };
    for value in &mut values {
        *value = *value * factor + shift;
    }
    values
}

/// A path in the names of tensors.
#[derive(Debug, Clone)]
pub(crate) struct WeightScope<'s, 'w> {
    source: &'s WeightSource<'w>,
    path: String,
}

impl<'s, 'w> WeightScope<'s, 'w> {
    pub(crate) fn root(source: &'s WeightSource<'w>) -> Self {
        Self {
            source,
            path: String::new(),
        }
    }

    /// Where its tensors come from.
    pub(crate) fn source(&self) -> &'s WeightSource<'w> {
        self.source
    }

    /// The layer that `make` makes of tensors, made once; `of` says of which and how.
    pub(crate) fn kept<T: Clone + Send + Sync + 'static>(
        &self,
        of: impl std::fmt::Debug,
        make: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        let key = format!("{} {of:?}", self.path);
        self.source.kept.get(key, make)
    }

    fn name(&self, name: &str) -> String {
        if self.path.is_empty() {
            name.to_owned()
        } else if name.is_empty() {
            self.path.clone()
        } else {
            format!("{}.{name}", self.path)
        }
    }

    /// The path `name` below this one, this one if `name` is empty; it may contain dots.
    pub(crate) fn sub(&self, name: impl std::fmt::Display) -> Self {
        Self {
            path: self.name(&name.to_string()),
            source: self.source,
        }
    }

    /// A tensor of a given shape.
    pub(crate) fn tensor(&self, name: &str, shape: &[usize]) -> Result<Cow<'w, [f32]>> {
        let name = self.name(name);
        match self.source.first_name(&name) {
            Some(first) => self.source.shared_tensor(name, first, shape),
            None => self.source.own_tensor(name, shape),
        }
    }

    /// A tensor of a given shape as a matrix, `[first dimension, all others]`.
    pub(crate) fn matrix(&self, name: &str, shape: &[usize]) -> Result<CowArray<'w, f32, Ix2>> {
        let size = (shape[0], shape[1..].iter().product());
        let matrix = match self.tensor(name, shape)? {
            Cow::Borrowed(values) => ArrayView2::from_shape(size, values).map(CowArray::from),
            Cow::Owned(values) => Array2::from_shape_vec(size, values).map(CowArray::from),
        };
        Ok(matrix.unwrap_or_else(|error| unreachable!("the tensor has this shape: {error}")))
    }

    /// Makes the tensors below `path` those below `first`.
    pub(crate) fn alias(&self, path: &str, first: &str) {
        let paths = (self.name(path) + ".", self.name(first) + ".");
        self.source.shared.borrow_mut().push(paths);
    }

    /// A single number.
    pub(crate) fn scalar(&self, name: &str) -> Result<f32> {
        Ok(self.tensor(name, &[])?[0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_float_dtype_is_read_and_integers_are_left_out() {
        let f64s: Vec<u8> = [1.5_f64, -2.0]
            .iter()
            .flat_map(|x| x.to_le_bytes())
            .collect();
        let bf16s: Vec<u8> = [0x3fc0_u16, 0xc000]
            .iter()
            .flat_map(|x| x.to_le_bytes())
            .collect();
        let f16s: Vec<u8> = [0x3e00_u16, 0xc000]
            .iter()
            .flat_map(|x| x.to_le_bytes())
            .collect();
        let view = |dtype, bytes| TensorView::new(dtype, vec![2], bytes).unwrap();
        let tensors = [
            ("double", view(Dtype::F64, &f64s)),
            ("brain", view(Dtype::BF16, &bf16s)),
            ("half", view(Dtype::F16, &f16s)),
            (
                "whole",
                TensorView::new(Dtype::I64, vec![2], &f64s).unwrap(),
            ),
        ];
        let bytes = safetensors::serialize(tensors, None).unwrap();
        let weights = ModelWeights::from_bytes(&bytes).unwrap();
        for name in ["double", "brain", "half"] {
            assert_eq!(weights.get(name).unwrap(), (&[2][..], &[1.5, -2.0][..]));
        }
        assert!(weights.get("whole").is_none());
        let eighths = TensorView::new(Dtype::F8_E4M3, vec![16], &f64s).unwrap();
        let bytes = safetensors::serialize([("eight", eighths)], None).unwrap();
        let error = ModelWeights::from_bytes(&bytes).unwrap_err().to_string();
        assert!(error.contains("`eight`"), "{error}");
    }

    #[test]
    fn shared_tensors_may_be_there_once_or_twice_but_not_differ() {
        let read = |weights: &ModelWeights| {
            let source = WeightSource::given(weights);
            let scope = WeightScope::root(&source).sub("a");
            scope.alias("l.1", "l.0");
            let values = scope.sub("l.1").tensor("w", &[1]).map(|values| values[0]);
            values.and_then(|value| source.all_read().map(|()| value))
        };
        let mut weights = ModelWeights::new();
        assert!(
            read(&weights)
                .unwrap_err()
                .to_string()
                .contains("`a.l.0.w`")
        );
        weights.insert("a.l.0.w", &[1], vec![2.0]).unwrap();
        assert_eq!(read(&weights).unwrap(), 2.0);
        weights.insert("a.l.1.w", &[1], vec![2.0]).unwrap();
        assert_eq!(read(&weights).unwrap(), 2.0);
        weights.insert("a.l.1.w", &[1], vec![3.0]).unwrap();
        let error = read(&weights).unwrap_err().to_string();
        assert!(error.contains("must equal `a.l.0.w`"), "{error}");
        let source = WeightSource::drawn(1);
        let scope = WeightScope::root(&source);
        scope.alias("l.1", "l.0");
        let first = scope.tensor("l.0.w", &[3]).unwrap();
        assert_eq!(scope.tensor("l.1.w", &[3]).unwrap(), first);
        assert_eq!(source.weights().iter().count(), 2);
    }

    #[test]
    fn errors_name_the_tensor_or_the_file() {
        let error = ModelWeights::read("no/such.safetensors")
            .unwrap_err()
            .to_string();
        assert!(error.contains("no/such.safetensors"), "{error}");
        assert!(ModelWeights::from_bytes(b"not a file").is_err());
        let mut weights = ModelWeights::new();
        assert!(weights.insert("a", &[2, 2], vec![0.0; 3]).is_err());
        weights.insert("a.b", &[2], vec![0.0; 2]).unwrap();
        let source = WeightSource::given(&weights);
        let scope = WeightScope::root(&source).sub("a");
        let error = scope.tensor("c", &[1]).unwrap_err().to_string();
        assert!(error.contains("`a.c`"), "{error}");
        let error = scope.tensor("b", &[3]).unwrap_err().to_string();
        assert!(error.contains("[2]") && error.contains("[3]"), "{error}");
        assert!(source.all_read().is_err());
        assert!(scope.tensor("b", &[2]).is_ok());
        assert!(source.all_read().is_ok());
    }
}
