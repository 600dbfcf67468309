//! Sums of gradients by leaf.

use std::collections::HashMap;

use tch::Tensor;

use crate::error::{ModuleError, Result};

/// Storage and shape: what tells leaves apart. No two tracked leaves may share both.
type Key = (usize, Vec<i64>);

/// The gradient summed so far for one leaf.
struct Sum {
    leaf: Tensor,
    gradient: Option<Tensor>,
    /// Whether no other owner holds the gradient, so that it may be added to in place.
    owned: bool,
}

/// Gradients of tracked leaves.
#[derive(Default)]
pub(super) struct Gradients {
    slots: HashMap<Key, usize>,
    sums: Vec<Option<Sum>>,
}

impl Gradients {
    /// Starts to sum gradients of `leaf`. Tracking one twice is an error: its gradient would be ambiguous.
    pub(super) fn track(&mut self, leaf: &Tensor) -> Result<()> {
        if !leaf.requires_grad() || !leaf.f_is_leaf()? {
            return Err(refuse(leaf, "a leaf that takes a gradient"));
        }
        let slot = self.sums.len();
        if leaf.numel() > 0 && self.slots.insert(key(leaf), slot).is_some() {
            return Err(refuse(leaf, "a leaf that shares its values with no other"));
        }
        self.sums.push(Some(Sum {
            leaf: leaf.shallow_clone(),
            gradient: None,
            owned: false,
        }));
        Ok(())
    }

    /// Stops tracking `leaf` and gives its sum.
    pub(super) fn take(&mut self, leaf: &Tensor) -> Result<Option<Tensor>> {
        let slot = self.slots.remove(&key(leaf));
        Ok(slot
            .and_then(|slot| self.sums[slot].take())
            .and_then(|sum| sum.gradient))
    }

    /// The sum so far for `leaf`.
    pub(super) fn get(&self, leaf: &Tensor) -> Result<Option<Tensor>> {
        let slot = self.slots.get(&key(leaf)).copied();
        let sum = slot.and_then(|slot| self.sums[slot].as_ref());
        Ok(sum
            .and_then(|sum| sum.gradient.as_ref())
            .map(Tensor::shallow_clone))
    }

    /// Adds to the gradient of `leaf`; gradients of untracked leaves are dropped. An `exclusive` gradient is read by
    /// nobody else.
    pub(super) fn add(&mut self, leaf: &Tensor, gradient: Tensor, exclusive: bool) -> Result<()> {
        match self.slots.get(&key(leaf)) {
            Some(slot) => self.add_at(*slot, gradient, exclusive),
            None => Ok(()),
        }
    }

    fn add_at(&mut self, slot: usize, gradient: Tensor, exclusive: bool) -> Result<()> {
        let Some(sum) = &mut self.sums[slot] else {
            return Ok(());
        };
        if gradient.size() != sum.leaf.size() {
            return Err(refuse(&gradient, &format!("{:?}", sum.leaf.size())));
        }
        tch::no_grad(|| {
            match &mut sum.gradient {
                None => {
                    sum.gradient = Some(gradient);
                    sum.owned = exclusive;
                }
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
        let slots: Vec<usize> = (0..self.sums.len())
            .filter(|slot| self.sums[*slot].is_some())
            .collect();
        let leaves: Vec<&Tensor> = self.sums.iter().flatten().map(|sum| &sum.leaf).collect();
        if leaves.is_empty() {
            return Ok(());
        }
        let gradients = Tensor::f_run_backward(roots, &leaves, true, false)?;
        for (slot, gradient) in slots.into_iter().zip(gradients) {
            if gradient.defined() {
                self.add_at(slot, gradient, false)?;
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
