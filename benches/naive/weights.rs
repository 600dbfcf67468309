//! Weights by dotted name, for code without layer types.

use std::collections::BTreeMap;

use nac_modules::params::ParamStore;
use nac_modules::{ModuleError, Result};
use tch::Tensor;

/// Weights of a model; they share storage with the store they were taken from, gradients too.
pub(super) struct TensorMap(BTreeMap<String, Tensor>);

impl TensorMap {
    pub(super) fn new(store: &ParamStore) -> Self {
        let own = store
            .iter()
            .map(|(name, entry)| (name.to_owned(), entry.tensor.shallow_clone()));
        let shared = store
            .aliases()
            .filter_map(|(alias, name)| Some((alias.to_owned(), store.get(name)?.shallow_clone())));
        Self(own.chain(shared).collect())
    }

    /// All weights.
    pub(super) fn root(&self) -> NamedTensors<'_> {
        NamedTensors {
            weights: self,
            path: String::new(),
        }
    }
}

/// Weights whose names begin with a path.
pub(super) struct NamedTensors<'a> {
    weights: &'a TensorMap,
    path: String,
}

impl<'a> NamedTensors<'a> {
    /// The weights below `name`.
    pub(super) fn sub(&self, name: &str) -> Self {
        Self {
            weights: self.weights,
            path: self.join(name),
        }
    }

    /// The weight `name`.
    pub(super) fn get(&self, name: &str) -> Result<&'a Tensor> {
        self.find(name).ok_or_else(|| ModuleError::Weights {
            source_name: "the naive transcription".into(),
            missing: vec![self.join(name)],
            unexpected: Vec::new(),
            misshaped: Vec::new(),
        })
    }

    /// The weight `name`, if there is one.
    pub(super) fn find(&self, name: &str) -> Option<&'a Tensor> {
        self.weights.0.get(&self.join(name))
    }

    /// The dotted path.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    fn join(&self, name: &str) -> String {
        if self.path.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.path)
        }
    }
}
