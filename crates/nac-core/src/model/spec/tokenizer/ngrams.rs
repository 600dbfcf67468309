//! The resolved tokenizer of sequences by hashed n-grams.

use serde::Serialize;

use super::symbols::{SymbolsSpec, positions};
use crate::model::spec::layer::{NormSpec, positive};
use crate::model::spec::node::{Node, OwnTensor, join, trained};
use crate::model::{ConfigError, NgramPooling, NgramsConfig};

/// Vectors of hashed n-grams, pooled over windows; perhaps a learned vector per token beside them.
///
/// The n-gram of length `n` that ends at a position counts if the sequence holds `n` symbols up to there and none of them
/// is padding; it belongs to the window of that position. The features of a token are the mean or the sum over its
/// window's n-grams of all lengths, zero if there are none, then perhaps a layer norm. A token counts if its window holds
/// a symbol that is not padding.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NgramsSpec {
    /// Path of `embedding.weight`, `[orders · buckets, dim]`, and `positions`, `[tokens, position_dim]`.
    pub path: String,
    /// What it reads.
    pub symbols: SymbolsSpec,
    /// Lengths of n-grams, from the shortest.
    pub orders: Vec<usize>,
    /// Vectors for each length.
    pub buckets: usize,
    /// Features of a vector.
    pub dim: usize,
    /// Symbols of a window.
    pub window: usize,
    /// How the vectors of a window become one.
    pub pooling: NgramPooling,
    /// Of the result.
    pub norm: Option<NormSpec>,
    /// Features of a token position; 0 for none.
    pub position_dim: usize,
}

impl NgramsSpec {
    /// Modulus of the hash, the prime `2³¹ − 1`.
    pub const MODULUS: i64 = (1 << 31) - 1;
    /// Multiplier of the hash, `5¹³`.
    pub const MULTIPLIER: i64 = 1_220_703_125;

    /// The hash of an n-gram of hash `hash` followed by `symbol`; that of no symbols is 0.
    ///
    /// `h ← (h · 5¹³ + symbol + 1) mod (2³¹ − 1)`: nothing overflows 63 bits, so both engines compute it in integers.
    #[must_use]
    pub const fn extend(hash: i64, symbol: i64) -> i64 {
        (hash * Self::MULTIPLIER + symbol + 1) % Self::MODULUS
    }

    /// Row of `embedding.weight` of an n-gram with the hash `hash` of the length at `order` in [`orders`](Self::orders):
    /// `order · buckets + hash mod buckets`.
    ///
    /// Single symbols do not collide as long as there are more buckets than symbols.
    #[must_use]
    pub const fn bucket(&self, order: usize, hash: i64) -> usize {
        order * self.buckets + hash as usize % self.buckets
    }

    /// Tokens of the longest sequence.
    #[must_use]
    pub fn tokens(&self) -> usize {
        self.symbols.tokens(self.window)
    }

    /// Features of a token.
    #[must_use]
    pub fn token_dim(&self) -> usize {
        self.dim + self.position_dim
    }
}

impl NgramsConfig {
    /// The tokenizer with these settings at `path` for sequences of up to `max_len` of `vocabulary` symbols.
    ///
    /// # Errors
    /// [`ConfigError::Setting`] if a size is zero, there are no lengths, or one is there twice.
    pub fn resolve(
        &self,
        path: &str,
        (vocabulary, max_len, pad): (usize, usize, i64),
    ) -> Result<NgramsSpec, ConfigError> {
        let mut orders = self.orders.clone();
        orders.sort_unstable();
        orders.dedup();
        if orders.len() != self.orders.len() || orders.first().is_none_or(|order| *order == 0) {
            return Err(ConfigError::Setting {
                name: "ngrams.orders".into(),
                value: format!("{:?}", self.orders),
                reason: "must be different lengths of at least 1".into(),
            });
        }
        let dim = positive("dim", self.dim)?;
        Ok(NgramsSpec {
            path: path.to_owned(),
            symbols: SymbolsSpec::new((vocabulary, max_len, pad))?,
            orders,
            buckets: positive("buckets", self.buckets)?,
            dim,
            window: positive("window", self.window)?,
            pooling: self.pooling,
            norm: self.norm.then(|| NormSpec::new(join(path, "norm"), dim)),
            position_dim: self.position_dim,
        })
    }
}

impl Node for NgramsSpec {
    fn path(&self) -> &str {
        &self.path
    }

    fn describe(&self) -> String {
        let (buckets, tokens) = (self.buckets, self.tokens());
        format!(
            "n-grams of {:?} in {buckets} buckets each, {tokens} tokens",
            self.orders
        )
    }

    fn children(&self) -> Vec<&dyn Node> {
        self.norm.iter().map(|norm| norm as &dyn Node).collect()
    }

    fn tensors(&self) -> Vec<OwnTensor> {
        let vectors = self.orders.len() * self.buckets;
        let mut all = vec![trained("embedding.weight", &[vectors, self.dim])];
        all.extend(positions(self.tokens(), self.position_dim));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_that_of_the_documentation() {
        let hash = |symbols: &[i64]| {
            let symbols = symbols.iter();
            symbols.fold(0, |hash, symbol| NgramsSpec::extend(hash, *symbol))
        };
        assert_eq!(hash(&[97]), 98);
        // 98 · 1220703125 = 119628906250 = 55 · 2147483647 + 1517305665, plus 99.
        assert_eq!(hash(&[97, 98]), 1_517_305_764);
        assert_ne!(hash(&[97, 98]), hash(&[98, 97]));
        let largest = (NgramsSpec::MODULUS - 1).checked_mul(NgramsSpec::MULTIPLIER);
        assert!(largest.unwrap().checked_add(1 << 60).is_some());
        let spec = NgramsConfig::default().resolve("", (257, 4096, 0)).unwrap();
        assert_eq!(spec.bucket(0, hash(&[97])), 98);
        assert_eq!(spec.bucket(1, hash(&[97, 98])), 4096 + 1_517_305_764 % 4096);
        assert_eq!((spec.tokens(), spec.token_dim()), (256, 192));
    }

    #[test]
    fn orders_are_sorted_and_differ() {
        let resolve = |orders: &[usize]| {
            let config = NgramsConfig {
                orders: orders.to_vec(),
                ..Default::default()
            };
            config.resolve("", (9, 20, 0))
        };
        assert_eq!(resolve(&[3, 1]).unwrap().orders, [1, 3]);
        for orders in [&[][..], &[0, 1], &[2, 2]] {
            let error = resolve(orders).unwrap_err().to_string();
            assert!(error.contains("ngrams.orders"), "{error}");
        }
    }
}
