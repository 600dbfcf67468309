//! Sums of gradients by leaf.

use std::collections::HashMap;

use tch::Tensor;

use crate::error::{ModuleError, Result};

/// Storage and shape: what tells leaves apart. No two watched leaves may share both.
type Key = (usize, Vec<i64>);

/// What has come in for one leaf.
struct Sum {
    leaf: Tensor,
    gradient: Option<Tensor>,
    /// Whether nobody else holds the gradient, so that it may be added to in place.
    owned: bool,
}

/// Gradients of watched leaves.
#[derive(Default)]
pub(super) struct Gradients {
    places: HashMap<Key, usize>,
    sums: Vec<Option<Sum>>,
}

impl Gradients {
    /// Starts to take gradients of `leaf`. Watching one twice is an error: its gradient would be ambiguous.
    pub(super) fn watch(&mut self, leaf: &Tensor) -> Result<()> {
        if !leaf.requires_grad() || !leaf.f_is_leaf()? {
            return Err(refuse(leaf, "a leaf that takes a gradient"));
        }
        let place = self.sums.len();
        if leaf.numel() > 0 && self.places.insert(key(leaf), place).is_some() {
            return Err(refuse(leaf, "a leaf with values of its own"));
        }
        self.sums.push(Some(Sum {
            leaf: leaf.shallow_clone(),
            gradient: None,
            owned: false,
        }));
        Ok(())
    }

    /// Stops to watch `leaf` and gives what has come in.
    pub(super) fn unwatch(&mut self, leaf: &Tensor) -> Result<Option<Tensor>> {
        let place = self.places.remove(&key(leaf));
        Ok(place
            .and_then(|place| self.sums[place].take())
            .and_then(|sum| sum.gradient))
    }

    /// What has come in for `leaf`.
    pub(super) fn get(&self, leaf: &Tensor) -> Result<Option<Tensor>> {
        let place = self.places.get(&key(leaf)).copied();
        let sum = place.and_then(|place| self.sums[place].as_ref());
        Ok(sum
            .and_then(|sum| sum.gradient.as_ref())
            .map(Tensor::shallow_clone))
    }

    /// Adds to the gradient of `leaf`; of a leaf nobody watches, nothing is kept.
    pub(super) fn add(&mut self, leaf: &Tensor, gradient: Tensor) -> Result<()> {
        match self.places.get(&key(leaf)) {
            Some(place) => self.add_at(*place, gradient),
            None => Ok(()),
        }
    }

    fn add_at(&mut self, place: usize, gradient: Tensor) -> Result<()> {
        let Some(sum) = &mut self.sums[place] else {
            return Ok(());
        };
        if gradient.size() != sum.leaf.size() {
            return Err(refuse(&gradient, &format!("{:?}", sum.leaf.size())));
        }
        tch::no_grad(|| {
            match &mut sum.gradient {
                None => sum.gradient = Some(gradient),
                Some(before) if sum.owned => {
                    let _ = before.f_add_(&gradient)?;
                }
                Some(before) => {
                    *before = before.f_add(&gradient)?;
                    sum.owned = true;
                }
            }
            Ok(())
        })
    }

    /// Runs libtorch's backward pass from `roots`, each with a gradient of one, and adds what reaches the leaves.
    ///
    /// Graphs are kept: several roots may share one, and whoever holds it lets it go soon.
    pub(super) fn spread(&mut self, roots: &[Tensor]) -> Result<()> {
        let places: Vec<usize> = (0..self.sums.len())
            .filter(|place| self.sums[*place].is_some())
            .collect();
        let leaves: Vec<&Tensor> = self.sums.iter().flatten().map(|sum| &sum.leaf).collect();
        if leaves.is_empty() {
            return Ok(());
        }
        let gradients = Tensor::f_run_backward(roots, &leaves, true, false)?;
        for (place, gradient) in places.into_iter().zip(gradients) {
            if gradient.defined() {
                self.add_at(place, gradient)?;
            }
        }
        Ok(())
    }
}

fn key(leaf: &Tensor) -> Key {
    (leaf.data_ptr() as usize, leaf.size())
}

fn refuse(tensor: &Tensor, expected: &str) -> ModuleError {
    ModuleError::Shape {
        op: "Tape",
        name: "leaf".into(),
        expected: expected.to_owned(),
        found: tensor.size(),
    }
}
