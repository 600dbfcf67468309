//! The order of the examples in an epoch.

use crate::random::Stream;

/// `0..len`, in a different random order for each epoch if `shuffle`.
pub(super) fn epoch_order(len: usize, shuffle: bool, seed: u64, epoch: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..len).collect();
    if shuffle {
        Stream::new(seed, "loader order", &[epoch]).shuffle(&mut order);
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_epoch_is_another_permutation() {
        let (a, b) = (epoch_order(50, true, 1, 0), epoch_order(50, true, 1, 1));
        assert_ne!(a, b);
        assert_eq!(a, epoch_order(50, true, 1, 0));
        let mut sorted = a;
        sorted.sort_unstable();
        assert_eq!(sorted, epoch_order(50, false, 1, 0));
    }
}
