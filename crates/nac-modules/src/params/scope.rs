//! A prefix in the tree of parameter names.

use tch::{Device, Kind, Tensor};

use super::{Init, ParamStore, Role};
use crate::error::Result;

/// A dotted prefix in a [`ParamStore`]; layers create their parameters below it.
#[derive(Debug)]
pub struct Scope<'a> {
    store: &'a mut ParamStore,
    prefix: String,
}

impl ParamStore {
    /// The root scope, from which layers take their parameters.
    pub fn root(&mut self) -> Scope<'_> {
        Scope::new(self, String::new())
    }
}

impl<'a> Scope<'a> {
    fn new(store: &'a mut ParamStore, prefix: String) -> Self {
        Self { store, prefix }
    }

    /// The scope `name` below this one; this one if `name` is empty.
    pub fn sub(&mut self, name: impl std::fmt::Display) -> Scope<'_> {
        let prefix = self.join(&name.to_string());
        Scope::new(self.store, prefix)
    }

    /// A trained parameter.
    ///
    /// # Errors
    /// The name is taken, or `init` does not suit `shape`.
    pub fn parameter(&mut self, name: &str, shape: &[i64], init: Init) -> Result<Tensor> {
        self.store
            .insert(self.join(name), shape, init, Role::Parameter)
    }

    /// A buffer: saved with the model, not trained.
    ///
    /// # Errors
    /// The name is taken, or `init` does not suit `shape`.
    pub fn buffer(&mut self, name: &str, shape: &[i64], init: Init) -> Result<Tensor> {
        self.store
            .insert(self.join(name), shape, init, Role::Buffer)
    }

    /// Makes layers built below the sub-scope `alias` from now on share the tensors below `target`.
    ///
    /// For layers that are used several times: a saved model has shared tensors under every name, as PyTorch
    /// saves them, and they are trained and counted once.
    pub fn alias(&mut self, alias: impl std::fmt::Display, target: impl std::fmt::Display) {
        let (alias, target) = (
            self.join(&alias.to_string()),
            self.join(&target.to_string()),
        );
        self.store.alias_tree(&alias, &target);
    }

    /// A parameter if `trained`, else a buffer: same name and initial values either way.
    ///
    /// # Errors
    /// The name is taken, or `init` does not suit `shape`.
    pub fn tensor(
        &mut self,
        name: &str,
        shape: &[i64],
        init: Init,
        trained: bool,
    ) -> Result<Tensor> {
        if trained {
            self.parameter(name, shape, init)
        } else {
            self.buffer(name, shape, init)
        }
    }

    /// Dotted path of this scope; also the name of a layer's stream of noise.
    pub fn path(&self) -> &str {
        &self.prefix
    }

    /// Device of the store.
    pub fn device(&self) -> Device {
        self.store.device()
    }

    /// Floating-point kind of the store.
    pub fn kind(&self) -> Kind {
        self.store.kind()
    }

    fn join(&self, name: &str) -> String {
        if self.prefix.is_empty() {
            name.to_owned()
        } else if name.is_empty() {
            self.prefix.clone()
        } else {
            format!("{}.{name}", self.prefix)
        }
    }
}
