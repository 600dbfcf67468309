//! Tensors that depend on weights alone, kept from one evaluation to the next.
//!
//! A kept tensor is used again while the tensors that it was computed from are the same memory and were not changed
//! since, by libtorch's counter of changes. It holds them, so that their memory is not given to others. Nothing is kept
//! where a gradient is wanted.

use std::cell::RefCell;

use tch::{Device, Kind, Tensor};

use crate::error::Result;

thread_local! {
    /// What is computed from it takes a gradient if this thread records gradients, which `tch` does not tell.
    static PROBE: Tensor = Tensor::ones([1], (Kind::Float, Device::Cpu)).set_requires_grad(true);
}

/// A tensor and what it was computed from.
#[derive(Debug, Default)]
pub(crate) struct Cached(RefCell<Option<Entry>>);

#[derive(Debug)]
struct Entry {
    sources: Vec<Source>,
    value: Tensor,
}

#[derive(Debug)]
struct Source {
    tensor: Tensor,
    version: i64,
}

impl Source {
    fn new(tensor: &Tensor) -> Result<Self> {
        Ok(Self {
            version: tensor.f_internal_version()?,
            tensor: tensor.shallow_clone(),
        })
    }

    /// Whether `tensor` is this one, unchanged.
    fn is(&self, tensor: &Tensor) -> Result<bool> {
        let own = &self.tensor;
        Ok(own.data_ptr() == tensor.data_ptr()
            && own.size() == tensor.size()
            && own.stride() == tensor.stride()
            && own.kind() == tensor.kind()
            && self.version == tensor.f_internal_version()?)
    }
}

impl Cached {
    /// What `compute` gives for these sources, of which it must be a function.
    ///
    /// # Errors
    /// Those of `compute`.
    pub(crate) fn get(
        &self,
        sources: &[&Tensor],
        compute: impl FnOnce() -> Result<Tensor>,
    ) -> Result<Tensor> {
        if takes_gradient(sources)? {
            self.clear();
            return compute();
        }
        if let Some(value) = self.known(sources)? {
            return Ok(value);
        }
        // The old value goes before the new one is made.
        self.clear();
        let value = compute()?;
        let sources = sources.iter().map(|tensor| Source::new(tensor));
        let entry = Entry {
            sources: sources.collect::<Result<_>>()?,
            value: value.shallow_clone(),
        };
        *self.0.borrow_mut() = Some(entry);
        Ok(value)
    }

    /// Forgets the tensor.
    pub(crate) fn clear(&self) {
        *self.0.borrow_mut() = None;
    }

    fn known(&self, sources: &[&Tensor]) -> Result<Option<Tensor>> {
        let entry = self.0.borrow();
        let Some(entry) = entry.as_ref().filter(|e| e.sources.len() == sources.len()) else {
            return Ok(None);
        };
        for (source, tensor) in entry.sources.iter().zip(sources) {
            if !source.is(tensor)? {
                return Ok(None);
            }
        }
        Ok(Some(entry.value.shallow_clone()))
    }
}

/// Whether something computed from `tensors` here would take a gradient.
pub(crate) fn takes_gradient(tensors: &[&Tensor]) -> Result<bool> {
    if !tensors.iter().any(|tensor| tensor.requires_grad()) {
        return Ok(false);
    }
    PROBE.with(|probe| Ok(probe.f_neg()?.requires_grad()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The doubled tensor, and whether it was computed.
    fn doubled(cached: &Cached, x: &Tensor) -> (f64, bool) {
        let mut computed = false;
        let value = cached.get(&[x], || {
            computed = true;
            Ok(x * 2.0)
        });
        (value.unwrap().double_value(&[0]), computed)
    }

    #[test]
    fn a_value_is_computed_again_only_when_its_source_changed() {
        let cached = Cached::default();
        let mut x = Tensor::from_slice(&[1.0_f32]);
        assert_eq!(doubled(&cached, &x), (2.0, true));
        assert_eq!(doubled(&cached, &x.shallow_clone()), (2.0, false));
        let _ = x.fill_(3.0);
        assert_eq!(doubled(&cached, &x), (6.0, true));
        assert_eq!(doubled(&cached, &x.copy()), (6.0, true), "other memory");
        let _ = x.narrow(0, 0, 0).zero_();
        assert_eq!(doubled(&cached, &x), (6.0, true), "a view of it changed");
        cached.clear();
        assert_eq!(doubled(&cached, &x), (6.0, true));
    }

    #[test]
    fn nothing_is_kept_where_a_gradient_is_wanted() {
        let cached = Cached::default();
        let x = Tensor::ones([1], (Kind::Float, Device::Cpu)).set_requires_grad(true);
        let without = || tch::no_grad(|| doubled(&cached, &x));
        assert_eq!(without(), (2.0, true));
        assert_eq!(without(), (2.0, false));
        let y = cached.get(&[&x], || Ok(&x * 2.0)).unwrap();
        y.sum(Kind::Float).backward();
        assert_eq!(x.grad().double_value(&[0]), 2.0);
        assert_eq!(without(), (2.0, true), "forgotten");
    }
}
