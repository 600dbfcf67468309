//! Named random streams: every random number of a run comes from one seed and a name.
//!
//! A [`Stream`] is ChaCha8 keyed by SHA-256 of (seed, name). Streams of different names are
//! independent, so adding a consumer of randomness never shifts the numbers another one gets,
//! and worker threads can each open their own stream. A stream knows its [`position`](Stream::position)
//! and can [`seek`](Stream::seek): no draw keeps hidden state, so (seed, name, position) is all
//! there is to save.
//!
//! Words consumed (a word is 32 bits, the unit of `position`): `next_u64`, `uniform` and each
//! `f64` uniform 2; each `f32` uniform 1; each normal 4; `below` 2 for each attempt. A slice is
//! filled front to back, so filling it in several calls gives the same numbers as in one.

use std::f64::consts::TAU;
use std::fmt;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use sha2::{Digest as _, Sha256};

/// Words after which a stream repeats.
const PERIOD: u128 = 1 << 68;

/// The root of all random streams of a run: one seed, from which streams are opened by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Streams {
    seed: u64,
}

impl Streams {
    /// Streams that derive from `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// The seed given to [`Streams::new`].
    #[must_use]
    pub const fn seed(&self) -> u64 {
        self.seed
    }

    /// Opens the stream called `name` at its start. The same seed and name always give the same
    /// numbers.
    #[must_use]
    pub fn stream(&self, name: &str) -> Stream {
        Stream {
            rng: ChaCha8Rng::from_seed(self.digest(b"stream", name)),
        }
    }

    /// A separate family of streams under `name`: `child("a").stream("x")` is independent of
    /// `stream("x")` and of `child("b").stream("x")`.
    #[must_use]
    pub fn child(&self, name: &str) -> Streams {
        Self::new(self.derive(name))
    }

    /// A 64-bit seed derived from this seed and `name`, for code that wants a number.
    #[must_use]
    pub fn derive(&self, name: &str) -> u64 {
        let digest = self.digest(b"derive", name);
        let mut bytes = [0_u8; 8];
        bytes.copy_from_slice(&digest[..8]);
        u64::from_le_bytes(bytes)
    }

    /// SHA-256 of a purpose tag, the seed and the name. Tag and seed have fixed lengths, so no
    /// two (purpose, seed, name) triples hash the same bytes.
    fn digest(&self, purpose: &[u8; 6], name: &str) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(b"nac-rng-1");
        hash.update(purpose);
        hash.update(self.seed.to_le_bytes());
        hash.update(name.as_bytes());
        hash.finalize().into()
    }
}

/// A random stream: a long, seekable sequence of random words.
#[derive(Clone)]
pub struct Stream {
    rng: ChaCha8Rng,
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream")
            .field("position", &self.position())
            .finish_non_exhaustive()
    }
}

impl Stream {
    /// The next 64 random bits (2 words).
    pub fn next_u64(&mut self) -> u64 {
        self.rng.next_u64()
    }

    /// A uniform number in `[0, 1)`, a multiple of 2⁻⁵³ (2 words).
    pub fn uniform(&mut self) -> f64 {
        unit_f64(self.next_u64())
    }

    /// Fills `out` with uniform numbers in `[0, 1)`, multiples of 2⁻²⁴ (1 word each).
    pub fn fill_uniform(&mut self, out: &mut [f32]) {
        for value in out {
            *value = (self.rng.next_u32() >> 8) as f32 * (1.0 / (1 << 24) as f32);
        }
    }

    /// Fills `out` with uniform numbers in `[0, 1)`, multiples of 2⁻⁵³ (2 words each).
    pub fn fill_uniform_f64(&mut self, out: &mut [f64]) {
        for value in out {
            *value = self.uniform();
        }
    }

    /// Fills `out` with the next words, lowest byte first: every 8 bytes are a `next_u64`.
    pub(crate) fn fill_bytes(&mut self, out: &mut [u8]) {
        self.rng.fill_bytes(out);
    }

    /// Fills `out` with standard normal numbers (4 words each): the `f64` draw of
    /// [`fill_normal_f64`](Stream::fill_normal_f64), rounded.
    pub fn fill_normal(&mut self, out: &mut [f32]) {
        for value in out {
            *value = self.normal() as f32;
        }
    }

    /// Fills `out` with standard normal numbers (4 words each) by the cosine branch of
    /// Box–Muller, `sqrt(−2 ln u₁)·cos(2π u₂)` with `u₁` in `(0, 1]`. The sine branch is not
    /// used, so no second number has to be remembered.
    pub fn fill_normal_f64(&mut self, out: &mut [f64]) {
        for value in out {
            *value = self.normal();
        }
    }

    /// A uniform integer in `0..n`, without bias (Lemire's multiply-and-reject). `below(0)` is 0
    /// and draws nothing; `below(1)` is 0 and draws 2 words.
    pub fn below(&mut self, n: u64) -> u64 {
        if n == 0 {
            return 0;
        }
        // Products whose low half is under 2⁶⁴ mod n belong to the over-full buckets.
        let reject_under = n.wrapping_neg() % n;
        loop {
            let product = u128::from(self.next_u64()) * u128::from(n);
            if (product as u64) >= reject_under {
                return (product >> 64) as u64;
            }
        }
    }

    /// Puts `items` into a uniformly random order (Fisher–Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.below(last as u64 + 1) as usize;
            items.swap(last, other);
        }
    }

    /// Words drawn since the start of the stream, modulo 2⁶⁸.
    #[must_use]
    pub fn position(&self) -> u128 {
        // The backing generator reports 2⁶⁸ and more while it works through a buffer that wrapped.
        self.rng.get_word_pos() % PERIOD
    }

    /// Moves to `position` (in words), as reported by [`position`](Stream::position). The stream
    /// repeats after 2⁶⁸ words, so higher bits are ignored.
    pub fn seek(&mut self, position: u128) {
        self.rng.set_word_pos(position);
    }

    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (TAU * self.uniform()).cos()
    }
}

/// The uniform number in `[0, 1)` that 64 random bits give.
pub(crate) fn unit_f64(bits: u64) -> f64 {
    (bits >> 11) as f64 * (1.0 / (1_u64 << 53) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Sum of (observed − expected)²/expected over equally likely cells.
    fn chi_square(counts: &[u64]) -> f64 {
        let expected = counts.iter().sum::<u64>() as f64 / counts.len() as f64;
        let term = |&c: &u64| (c as f64 - expected).powi(2) / expected;
        counts.iter().map(term).sum()
    }

    #[test]
    fn the_numbers_never_change() {
        // Computed by an independent SHA-256 and ChaCha8. A change here breaks every saved run.
        let streams = Streams::new(42);
        let mut stream = streams.stream("init");
        let first = [stream.next_u64(), stream.next_u64()];
        assert_eq!(first, [0xe085_ccc4_8dde_6409, 0xb24f_3f53_0a41_9ad0]);
        assert_eq!(streams.derive("init"), 0x83af_59d1_88c6_d284);
    }

    #[test]
    fn names_seeds_and_children_give_different_streams() {
        let mut seen = std::collections::HashSet::new();
        for seed in [0, 1, u64::MAX] {
            let streams = Streams::new(seed);
            for name in ["", "a", "b", "ab", "a b", "row 1", "row 11"] {
                assert!(seen.insert(streams.stream(name).next_u64()));
                assert!(seen.insert(streams.derive(name)));
                assert!(seen.insert(streams.child(name).stream("a").next_u64()));
            }
        }
    }

    #[test]
    fn streams_of_different_names_are_uncorrelated() {
        // Correlation of n independent pairs has standard deviation 1/√n; 5 of them: 6e-7.
        let n = 50_000;
        let streams = Streams::new(7);
        let (mut a, mut b) = (vec![0.0; n], vec![0.0; n]);
        streams.stream("a").fill_normal_f64(&mut a);
        streams.stream("b").fill_normal_f64(&mut b);
        let product: f64 = a.iter().zip(&b).map(|(x, y)| x * y).sum();
        assert!((product / n as f64).abs() < 5.0 / (n as f64).sqrt());
    }

    #[test]
    fn uniforms_are_uniform() {
        // 255 degrees of freedom: mean 255, sd 22.6; 400 is over 6 sd (p < 1e-7).
        let mut stream = Streams::new(1).stream("uniform");
        let mut narrow = vec![0.0_f32; 200_000];
        stream.fill_uniform(&mut narrow);
        let mut wide = vec![0.0_f64; 200_000];
        stream.fill_uniform_f64(&mut wide);
        let (mut a, mut b) = (vec![0; 256], vec![0; 256]);
        for (x, y) in narrow.iter().zip(&wide) {
            assert!((0.0..1.0).contains(x) && (0.0..1.0).contains(y));
            a[(x * 256.0) as usize] += 1;
            b[(y * 256.0) as usize] += 1;
        }
        assert!(chi_square(&a) < 400.0 && chi_square(&b) < 400.0);
        // The largest 24-bit value stays under 1 as f32.
        assert!(((u32::MAX >> 8) as f32) * (1.0 / (1 << 24) as f32) < 1.0);
        assert!(unit_f64(u64::MAX) < 1.0);
    }

    #[test]
    fn normals_have_the_right_moments() {
        // Standard deviations of the sample moments of N(0, 1): 1, √2, √15, √96 over √n.
        let n = 200_000;
        let mut values = vec![0.0_f32; n];
        Streams::new(2).stream("normal").fill_normal(&mut values);
        let moment = |k: i32| values.iter().map(|v| f64::from(*v).powi(k)).sum::<f64>() / n as f64;
        for (k, expected, sd) in [(1, 0.0, 1.0), (2, 1.0, 2.0), (3, 0.0, 15.0), (4, 3.0, 96.0)] {
            let tolerance = 5.0 * f64::sqrt(sd / n as f64);
            assert!((moment(k) - expected).abs() < tolerance, "moment {k}");
        }
        let tail = values.iter().filter(|v| v.abs() > 1.959_964).count() as f64 / n as f64;
        assert!((tail - 0.05).abs() < 5.0 * (0.05_f64 * 0.95 / n as f64).sqrt());
    }

    #[test]
    fn below_is_unbiased_and_in_range() {
        let mut stream = Streams::new(3).stream("below");
        assert_eq!(stream.below(0), 0);
        assert_eq!(stream.position(), 0);
        for n in [1, 2, 7, 1 << 63, u64::MAX] {
            assert!((0..200).all(|_| stream.below(n) < n));
        }
        let mut counts = [0; 7];
        for _ in 0..70_000 {
            counts[stream.below(7) as usize] += 1;
        }
        // 6 degrees of freedom: 40 has p < 1e-6.
        assert!(chi_square(&counts) < 40.0);
        // With n = 3·2⁶² and no rejection, half of the draws would be multiples of 3.
        let multiples = (0..10_000)
            .filter(|_| stream.below(3 << 62).is_multiple_of(3))
            .count();
        assert!((multiples as f64 - 10_000.0 / 3.0).abs() < 5.0 * 47.2);
    }

    #[test]
    fn shuffles_are_uniform() {
        let mut stream = Streams::new(4).stream("shuffle");
        let mut counts = std::collections::BTreeMap::new();
        for _ in 0..24_000 {
            let mut items = [0, 1, 2, 3];
            stream.shuffle(&mut items);
            *counts.entry(items).or_insert(0_u64) += 1;
        }
        let counts: Vec<u64> = counts.into_values().collect();
        assert_eq!(counts.len(), 24);
        // 23 degrees of freedom: 75 has p < 1e-6.
        assert!(chi_square(&counts) < 75.0);
        stream.shuffle::<u8>(&mut []);
    }

    proptest! {
        #[test]
        fn seeking_is_exact(
            seed: u64,
            start in prop_oneof![0_u128..300, Just((1 << 68) - 5)],
            draws in prop::collection::vec(0_usize..5, 0..40),
        ) {
            let mut stream = Streams::new(seed).stream("seek");
            stream.seek(start);
            prop_assert_eq!(stream.position(), start);
            for kind in draws {
                match kind {
                    0 => { stream.next_u64(); }
                    1 => stream.fill_uniform(&mut [0.0; 3]),
                    2 => stream.fill_normal(&mut [0.0; 3]),
                    3 => { stream.below(1000); }
                    _ => stream.shuffle(&mut [1, 2, 3, 4, 5]),
                }
            }
            let position = stream.position();
            let mut other = Streams::new(seed).stream("seek");
            other.seek(position);
            prop_assert_eq!(other.position(), position);
            for _ in 0..70 {
                prop_assert_eq!(other.next_u64(), stream.next_u64());
                prop_assert_eq!(other.position(), stream.position());
            }
        }

        #[test]
        fn filling_in_pieces_gives_the_same_numbers(seed: u64, cut in 0_usize..=50) {
            let streams = Streams::new(seed);
            let (mut whole, mut pieces) = (vec![0.0_f32; 50], vec![0.0_f32; 50]);
            type Fill = fn(&mut Stream, &mut [f32]);
            for fill in [Stream::fill_normal as Fill, Stream::fill_uniform as Fill] {
                fill(&mut streams.stream("x"), &mut whole);
                let mut stream = streams.stream("x");
                let (head, tail) = pieces.split_at_mut(cut);
                fill(&mut stream, head);
                fill(&mut stream, tail);
                prop_assert_eq!(&whole, &pieces);
            }
        }
    }
}
