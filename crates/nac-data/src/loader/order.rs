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

/// The first of an order, each `times` times in a row; as many in all as before.
pub(super) fn repeat(order: &mut Vec<usize>, times: usize) {
    if times > 1 {
        let repeated = order
            .iter()
            .flat_map(|&index| std::iter::repeat_n(index, times));
        *order = repeated.take(order.len()).collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_are_side_by_side_and_the_length_stays() {
        let mut order = vec![3, 1, 0, 2];
        repeat(&mut order, 1);
        assert_eq!(order, [3, 1, 0, 2]);
        repeat(&mut order, 3);
        assert_eq!(order, [3, 3, 3, 1]);
    }

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
