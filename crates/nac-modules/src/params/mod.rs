//! Parameters and buffers under unique dotted names.
//!
//! Names are the `state_dict` names of the reference implementation, so that weights move both ways.
//! Unlike [`tch::nn::VarStore`], which silently renames a repeated name, a second use is an error;
//! and initial values come from named random streams, so that one seed gives the same weights
//! whatever the order in which layers are built.

mod init;
mod io;
mod scope;

use std::collections::BTreeMap;

use nac_core::rng::Streams;
use tch::{Device, Kind, Tensor};

pub use init::Init;
pub use io::TensorFile;
pub use scope::Scope;

use crate::error::{ModuleError, Result};

/// What a stored tensor is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Trained by the optimizer.
    Parameter,
    /// Saved with the model, not trained.
    Buffer,
}

/// One stored tensor.
#[derive(Debug)]
pub struct Entry {
    /// The values. Layers hold shallow clones of the same storage.
    pub tensor: Tensor,
    /// Parameter or buffer.
    pub role: Role,
}

/// All parameters and buffers of a model, by dotted name.
#[derive(Debug)]
pub struct ParamStore {
    device: Device,
    kind: Kind,
    streams: Option<Streams>,
    entries: BTreeMap<String, Entry>,
}

impl ParamStore {
    /// An empty store. Initial values are drawn from streams of `seed` named `init/<parameter name>`.
    pub fn new(device: Device, kind: Kind, seed: u64) -> Self {
        Self {
            device,
            kind,
            streams: Some(Streams::new(seed).child("init")),
            entries: BTreeMap::new(),
        }
    }

    /// A store whose parameters have shapes but no drawn values (all zero): to count or to load into.
    pub fn sizes_only(device: Device, kind: Kind) -> Self {
        Self {
            device,
            kind,
            streams: None,
            entries: BTreeMap::new(),
        }
    }

    /// The root scope, from which layers take their parameters.
    pub fn root(&mut self) -> Scope<'_> {
        Scope::new(self, String::new())
    }

    /// Device of every tensor.
    pub fn device(&self) -> Device {
        self.device
    }

    /// Floating-point kind of every tensor.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// All entries in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.entries
            .iter()
            .map(|(name, entry)| (name.as_str(), entry))
    }

    /// Trained parameters in the order of their names.
    pub fn parameters(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.iter()
            .filter(|(_, entry)| entry.role == Role::Parameter)
            .map(|(name, entry)| (name, &entry.tensor))
    }

    /// The tensor called `name`, if there is one.
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.entries.get(name).map(|entry| &entry.tensor)
    }

    /// Number of trained scalars.
    pub fn parameter_count(&self) -> usize {
        self.parameters().map(|(_, tensor)| tensor.numel()).sum()
    }

    fn insert(&mut self, name: String, shape: &[i64], init: Init, role: Role) -> Result<Tensor> {
        if self.entries.contains_key(&name) {
            return Err(ModuleError::DuplicateParameter { name });
        }
        let tensor = match &self.streams {
            Some(streams) => {
                let values = init.values(shape, &mut streams.stream(&name))?;
                Tensor::f_from_slice(&values)?
                    .f_view(shape)?
                    .f_to_device(self.device)?
                    .f_to_kind(self.kind)?
            }
            None => Tensor::f_zeros(shape, (self.kind, self.device))?,
        };
        let tensor = tensor.set_requires_grad(role == Role::Parameter);
        let shared = tensor.shallow_clone();
        self.entries.insert(name, Entry { tensor, role });
        Ok(shared)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_name_is_an_error() {
        let mut store = ParamStore::new(Device::Cpu, Kind::Float, 1);
        let mut root = store.root();
        let _ = root
            .sub("a")
            .parameter("weight", &[2], Init::Zeros)
            .unwrap();
        let error = root
            .sub("a")
            .parameter("weight", &[2], Init::Zeros)
            .unwrap_err();
        assert_eq!(error.to_string(), "parameter name `a.weight` is used twice");
    }

    #[test]
    fn values_depend_on_seed_and_name_not_on_order() {
        let build = |names: [&str; 2], seed| {
            let mut store = ParamStore::new(Device::Cpu, Kind::Float, seed);
            for name in names {
                let _ = store
                    .root()
                    .parameter(name, &[8], Init::Normal { std: 1.0 })
                    .unwrap();
            }
            store
        };
        let (ab, ba, other) = (
            build(["a", "b"], 1),
            build(["b", "a"], 1),
            build(["a", "b"], 2),
        );
        assert_eq!(ab.get("a"), ba.get("a"));
        assert_ne!(ab.get("a"), ab.get("b"));
        assert_ne!(ab.get("a"), other.get("a"));
    }

    #[test]
    fn only_parameters_are_counted() {
        let mut store = ParamStore::new(Device::Cpu, Kind::Float, 1);
        let _ = store.root().parameter("w", &[2, 3], Init::Zeros).unwrap();
        let _ = store
            .root()
            .buffer("bandwidth", &[], Init::Constant(1.0))
            .unwrap();
        assert_eq!(store.parameter_count(), 6);
        assert_eq!(store.iter().count(), 2);
    }
}
