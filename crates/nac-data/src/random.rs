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

    /// A number in `[low, high)`.
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.uniform()
    }

    /// A number of the standard normal distribution (Box–Muller).
    pub fn normal(&mut self) -> f64 {
        // 1 − u is in (0, 1], so the logarithm is finite.
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// A number of the symmetric beta distribution with `alpha` > 0: `x / (x + y)` for two gamma variables.
    pub fn beta(&mut self, alpha: f64) -> f64 {
        let (x, y) = (self.log_gamma(alpha), self.log_gamma(alpha));
        1.0 / (1.0 + (y - x).exp())
    }

    /// Logarithm of a gamma variable of a shape (Marsaglia and Tsang, 2000; shapes below 1 by their boost). The
    /// logarithm stays finite where the variable itself would be zero.
    fn log_gamma(&mut self, shape: f64) -> f64 {
        let boost = if shape < 1.0 {
            (1.0 - self.uniform()).ln() / shape
        } else {
            0.0
        };
        let d = if shape < 1.0 { shape + 1.0 } else { shape } - 1.0 / 3.0;
        let c = 1.0 / (9.0 * d).sqrt();
        loop {
            let x = self.normal();
            let v = (1.0 + c * x).powi(3);
            let u = 1.0 - self.uniform();
            if v > 0.0 && u.ln() < 0.5 * x * x + d - d * v + d * v.ln() {
                return boost + (d * v).ln();
            }
        }
    }

    /// A number of the Poisson distribution with a mean of at most about 600: the number of exponential waiting times
    /// that fit into the mean, by products of uniform numbers.
    pub fn poisson(&mut self, mean: f64) -> u64 {
        let limit = (-mean).exp();
        let (mut product, mut count) = (1.0 - self.uniform(), 0);
        while product > limit {
            product *= 1.0 - self.uniform();
            count += 1;
        }
        count
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
    fn distributions_have_their_moments() {
        let mut stream = Stream::new(1, "moments", &[]);
        let mut check =
            |name: &str, mean: f64, variance: f64, draw: &mut dyn FnMut(&mut Stream) -> f64| {
                let draws: Vec<f64> = (0..40_000).map(|_| draw(&mut stream)).collect();
                let found = draws.iter().sum::<f64>() / 40_000.0;
                let spread = draws.iter().map(|x| (x - found).powi(2)).sum::<f64>() / 40_000.0;
                // Five standard errors of the mean.
                assert!(
                    (found - mean).abs() < 5.0 * (variance / 40_000.0).sqrt(),
                    "{name}: mean {found}"
                );
                assert!(
                    (spread / variance - 1.0).abs() < 0.06,
                    "{name}: variance {spread}"
                );
            };
        check("normal", 0.0, 1.0, &mut Stream::normal);
        check("between", 1.0, 3.0, &mut |s| s.between(-2.0, 4.0));
        for alpha in [0.2, 0.8, 1.0, 3.0] {
            let variance = 0.25 / (2.0 * alpha + 1.0);
            check("beta", 0.5, variance, &mut |s| s.beta(alpha));
        }
        for mean in [0.3, 5.0, 500.0] {
            check("poisson", mean, mean, &mut |s| s.poisson(mean) as f64);
        }
        assert_eq!(stream.poisson(0.0), 0);
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
