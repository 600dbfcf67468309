//! What a model reads.

use std::collections::BTreeMap;

use tch::Tensor;

use crate::error::{ModuleError, Result};

/// Named input tensors of a batch, such as `image` or `tokens`.
///
/// ```
/// use nac_modules::prelude::*;
///
/// let image = Tensor::zeros([4, 3, 32, 32], (Kind::Float, Device::Cpu));
/// let inputs = Inputs::image(image).with("condition", Tensor::zeros([4, 8], (Kind::Float, Device::Cpu)));
/// assert_eq!((inputs.batch_size(), inputs.get("condition")?.size()), (4, vec![4, 8]));
/// # Ok::<(), nac_modules::ModuleError>(())
/// ```
#[derive(Debug, Default)]
pub struct Inputs(BTreeMap<String, Tensor>);

impl Inputs {
    /// No inputs.
    pub fn new() -> Self {
        Self::default()
    }

    /// The input `image`, `[batch, channels, height, width]`.
    pub fn image(tensor: Tensor) -> Self {
        Self::new().with("image", tensor)
    }

    /// The input `tokens`, `[batch, length]`, integers.
    pub fn tokens(tensor: Tensor) -> Self {
        Self::new().with("tokens", tensor)
    }

    /// Adds or replaces one input.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, tensor: Tensor) -> Self {
        self.0.insert(name.into(), tensor);
        self
    }

    /// The input called `name`.
    ///
    /// # Errors
    /// [`ModuleError::MissingInput`], listing the names that are present.
    pub fn get(&self, name: &str) -> Result<&Tensor> {
        self.0.get(name).ok_or_else(|| ModuleError::MissingInput {
            name: name.to_owned(),
            present: self.0.keys().cloned().collect(),
        })
    }

    /// Names of the inputs, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The same tensors, not their values, once more.
    #[must_use]
    pub fn shallow_clone(&self) -> Self {
        let inputs = self.0.iter();
        Self(
            inputs
                .map(|(name, tensor)| (name.clone(), tensor.shallow_clone()))
                .collect(),
        )
    }

    /// Those with the given names, and all others.
    ///
    /// # Errors
    /// As [`get`](Self::get), of the first name that is not there.
    pub(crate) fn split(&self, names: &[String]) -> Result<(Self, Self)> {
        let (mut chosen, mut others) = (Self::new(), self.shallow_clone());
        for name in names {
            chosen = chosen.with(name, self.get(name)?.shallow_clone());
            others.0.remove(name);
        }
        Ok((chosen, others))
    }

    /// Adds all of `others`.
    #[must_use]
    pub(crate) fn and(mut self, others: Self) -> Self {
        self.0.extend(others.0);
        self
    }

    /// Number of examples: the first dimension of the first input, 0 if there is none.
    pub fn batch_size(&self) -> i64 {
        self.0
            .values()
            .next()
            .and_then(|t| t.size().first().copied())
            .unwrap_or(0)
    }
}
