//! Blocks of a layer, one for each of its calls in a pass.
//!
//! A block keeps what its backward pass needs, so a layer that is called several times in a pass (shared propagators)
//! needs several. A call borrows one and gives it back when its node leaves the tape; the next step finds it there with
//! its memory.

use std::sync::{Arc, Mutex, PoisonError};

/// The blocks of one layer that no call is using.
#[derive(Debug)]
pub(super) struct Slots<T>(Arc<Mutex<Vec<T>>>);

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Vec::new())))
    }
}

impl<T> Slots<T> {
    /// A block that `fits`, or a new one. Blocks that do not fit are dropped: shapes rarely change.
    pub(super) fn borrow<E>(
        &self,
        fits: impl Fn(&T) -> bool,
        make: impl FnOnce() -> Result<T, E>,
    ) -> Result<Borrowed<T>, E> {
        let found = {
            let mut free = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            free.retain(&fits);
            free.pop()
        };
        Ok(Borrowed {
            block: Some(found.map_or_else(make, Ok)?),
            home: self.0.clone(),
        })
    }
}

/// A block in use; goes back when dropped.
#[derive(Debug)]
pub(super) struct Borrowed<T> {
    block: Option<T>,
    home: Arc<Mutex<Vec<T>>>,
}

impl<T> Borrowed<T> {
    /// The block.
    pub(super) fn get(&mut self) -> &mut T {
        let Some(block) = &mut self.block else {
            unreachable!("a block leaves its holder when that is dropped");
        };
        block
    }
}

impl<T> Drop for Borrowed<T> {
    fn drop(&mut self) {
        if let Some(block) = self.block.take() {
            let mut free = self.home.lock().unwrap_or_else(PoisonError::into_inner);
            free.push(block);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_at_the_same_time_have_blocks_of_their_own_and_later_ones_use_them_again() {
        let slots = Slots::<Vec<u8>>::default();
        let make = |size: usize| slots.borrow(|b| b.len() == size, || Ok::<_, ()>(vec![0; size]));
        {
            let (mut first, mut second) = (make(3).unwrap(), make(3).unwrap());
            (first.get()[0], second.get()[0]) = (1, 2);
        }
        let (mut first, mut second) = (make(3).unwrap(), make(3).unwrap());
        assert_eq!(first.get()[0] + second.get()[0], 3);
        let mut third = make(3).unwrap();
        assert_eq!(third.get()[0], 0);
        drop((first, second, third));
        assert_eq!(make(4).unwrap().get(), &[0; 4]);
        assert_eq!(make(3).unwrap().get(), &[0; 3]);
    }
}
