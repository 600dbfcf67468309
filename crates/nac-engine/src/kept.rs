//! Layers that are made of tensors once and used by several circuits of the same weights.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::error::Result;

/// Layers by a key that says what they are made of. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Kept(Arc<Mutex<BTreeMap<String, Arc<dyn Any + Send + Sync>>>>);

impl Kept {
    /// The layer of `key`, made if there is none of this type.
    ///
    /// # Errors
    /// That of `make`.
    pub(crate) fn get<T: Clone + Send + Sync + 'static>(
        &self,
        key: String,
        make: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        let found = {
            let layers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            layers.get(&key).cloned()
        };
        if let Some(layer) = found.as_ref().and_then(|layer| layer.downcast_ref::<T>()) {
            return Ok(layer.clone());
        }
        let layer = make()?;
        let mut layers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        layers.insert(key, Arc::new(layer.clone()));
        Ok(layer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_is_made_once_for_a_key_and_a_type() {
        let kept = Kept::default();
        let number = |key: &str, value: i32| kept.get(key.into(), || Ok(value)).unwrap();
        assert_eq!((number("a", 1), number("b", 2), number("a", 3)), (1, 2, 1));
        let text: String = kept.get("a".into(), || Ok("new".into())).unwrap();
        assert_eq!(text, "new");
    }
}
