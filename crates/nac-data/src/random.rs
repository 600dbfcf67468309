//! Named random streams: ChaCha8 keyed by SHA-256 of a seed and a name.
//!
//! Two streams with different names are independent; the same seed and name give the same
//! numbers on every machine, whatever the number of threads.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use sha2::{Digest, Sha256};

/// A stream of random numbers.
#[derive(Clone, Debug)]
pub struct Stream(ChaCha8Rng);

impl Stream {
    /// The stream of a seed, a name and numbers that distinguish its members (epoch, index, …).
    #[must_use]
    pub fn new(seed: u64, name: &str, members: &[u64]) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"nac-data");
        hash.update(seed.to_le_bytes());
        hash.update((name.len() as u64).to_le_bytes());
        hash.update(name.as_bytes());
        for member in members {
            hash.update(member.to_le_bytes());
        }
        Self(ChaCha8Rng::from_seed(hash.finalize().into()))
    }

    /// 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number in `[0, 1)`, a multiple of 2⁻⁵³.
    pub fn uniform(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// An integer in `0..n`, each equally likely (Lemire's multiplication with rejection);
    /// 0 if `n` is 0.
    pub fn below(&mut self, n: u64) -> u64 {
        if n == 0 {
            return 0;
        }
        // Of the 2⁶⁴ products, the first 2⁶⁴ mod n low halves would be over-represented.
        let reject_below = n.wrapping_neg() % n;
        loop {
            let product = u128::from(self.0.next_u64()) * u128::from(n);
            if product as u64 >= reject_below {
                return (product >> 64) as u64;
            }
        }
    }

    /// Puts a slice into random order (Fisher–Yates, from the end).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.below(last as u64 + 1) as usize;
            items.swap(last, other);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_seeds_and_members_all_matter() {
        let first = |seed, name, members: &[u64]| Stream::new(seed, name, members).next_u64();
        let base = first(1, "a", &[2, 3]);
        assert_eq!(base, first(1, "a", &[2, 3]));
        for other in [
            first(2, "a", &[2, 3]),
            first(1, "b", &[2, 3]),
            first(1, "a", &[3, 2]),
        ] {
            assert_ne!(base, other);
        }
    }

    #[test]
    fn below_is_even_and_in_range() {
        let mut stream = Stream::new(0, "below", &[]);
        let mut counts = [0u32; 7];
        for _ in 0..70_000 {
            counts[stream.below(7) as usize] += 1;
        }
        // Standard deviation of a count is about 93.
        assert!(
            counts.iter().all(|c| (9_500..10_500).contains(c)),
            "{counts:?}"
        );
        assert_eq!(stream.below(1), 0);
    }

    #[test]
    fn shuffle_keeps_every_item() {
        let mut items: Vec<u32> = (0..100).collect();
        Stream::new(3, "shuffle", &[]).shuffle(&mut items);
        assert_ne!(items, (0..100).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn uniform_stays_below_one_with_mean_a_half() {
        let mut stream = Stream::new(0, "uniform", &[]);
        let draws: Vec<f64> = (0..10_000).map(|_| stream.uniform()).collect();
        assert!(draws.iter().all(|u| (0.0..1.0).contains(u)));
        let mean = draws.iter().sum::<f64>() / 10_000.0;
        assert!((mean - 0.5).abs() < 0.02, "{mean}");
    }
}
