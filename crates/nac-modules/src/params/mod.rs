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
    aliases: BTreeMap<String, String>,
    aliased_trees: Vec<(String, String)>,
}

impl ParamStore {
    /// An empty store. Initial values are drawn from streams of `seed` named `init/<parameter name>`.
    pub fn new(device: Device, kind: Kind, seed: u64) -> Self {
        Self {
            device,
            kind,
            streams: Some(Streams::new(seed).child("init")),
            entries: BTreeMap::new(),
            aliases: BTreeMap::new(),
            aliased_trees: Vec::new(),
        }
    }

    /// An empty store on the CPU in single precision. As [`new`](Self::new).
    pub fn cpu(seed: u64) -> Self {
        Self::new(Device::Cpu, Kind::Float, seed)
    }

    /// A store whose parameters have shapes but no drawn values (all zero): to count or to load into.
    pub fn sizes_only(device: Device, kind: Kind) -> Self {
        Self {
            device,
            kind,
            streams: None,
            entries: BTreeMap::new(),
            aliases: BTreeMap::new(),
            aliased_trees: Vec::new(),
        }
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

    /// The tensor called `name`, if there is one. Second names of shared tensors count.
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        let name = self.aliases.get(name).map_or(name, String::as_str);
        self.entries.get(name).map(|entry| &entry.tensor)
    }

    /// Second names of shared tensors, each with the name it stands for.
    ///
    /// A saved model has its shared tensors under every name, as PyTorch saves them; here they are one entry.
    pub fn aliases(&self) -> impl Iterator<Item = (&str, &str)> {
        self.aliases
            .iter()
            .map(|(alias, name)| (alias.as_str(), name.as_str()))
    }

    /// Makes layers built below `alias` from now on use the tensors below `target`.
    fn alias_tree(&mut self, alias: &str, target: &str) {
        let tree = (format!("{alias}."), format!("{target}."));
        self.aliased_trees.push(tree);
    }

    /// The tensor that `name` shares, if it lies below an alias.
    fn shared(&mut self, name: &str, shape: &[i64]) -> Result<Option<Tensor>> {
        let target = self.aliased_trees.iter().find_map(|(alias, target)| {
            Some(format!("{target}{}", name.strip_prefix(alias.as_str())?))
        });
        let Some(target) = target else {
            return Ok(None);
        };
        let found = self.entries.get(&target).map(|entry| &entry.tensor);
        match found {
            Some(tensor) if tensor.size() == shape => {
                let shared = tensor.shallow_clone();
                self.aliases.insert(name.to_owned(), target);
                Ok(Some(shared))
            }
            other => Err(ModuleError::Shape {
                op: "shared parameter",
                name: name.to_owned(),
                expected: format!("{shape:?}, that of `{target}`"),
                found: other.map(Tensor::size).unwrap_or_default(),
            }),
        }
    }

    /// Number of trained scalars.
    pub fn parameter_count(&self) -> usize {
        self.parameters().map(|(_, tensor)| tensor.numel()).sum()
    }

    fn insert(&mut self, name: String, shape: &[i64], init: Init, role: Role) -> Result<Tensor> {
        if self.entries.contains_key(&name) || self.aliases.contains_key(&name) {
            return Err(ModuleError::DuplicateParameter { name });
        }
        if let Some(shared) = self.shared(&name, shape)? {
            return Ok(shared);
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
    fn shared_tensors_have_every_name_in_a_saved_model() {
        let mut store = ParamStore::new(Device::Cpu, Kind::Float, 1);
        let start = Init::Normal { std: 1.0 };
        let _ = store.root().sub("l.0").parameter("w", &[2], start).unwrap();
        store.root().sub("l").alias(1, 0);
        let _ = store.root().sub("l.1").parameter("w", &[2], start).unwrap();
        assert_eq!(store.get("l.1.w"), store.get("l.0.w"));
        assert_eq!(store.parameter_count(), 2);
        let mut saved = store.export().unwrap();
        assert_eq!(saved.keys().collect::<Vec<_>>(), ["l.0.w", "l.1.w"]);
        store.import("x", &saved).unwrap();
        let other = saved["l.0.w"].copy() + 1.0;
        saved.insert("l.1.w".into(), other);
        let error = store.import("x", &saved).unwrap_err().to_string();
        assert!(error.contains("l.1.w: must equal l.0.w"), "{error}");
        let mut second = store.root();
        let mut second = second.sub("l.1");
        assert!(second.parameter("w", &[2], start).is_err(), "taken");
        assert!(second.parameter("v", &[2], start).is_err(), "not there");
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
