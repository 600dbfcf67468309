//! Sequence tokenizer: learned vectors of hashed n-grams, pooled over windows.

use nac_core::model::NgramPooling;
use nac_core::model::spec::NgramsSpec;
use tch::{Kind, Tensor};

use super::{Tokenizer, symbols};
use crate::context::ForwardContext;
use crate::error::Result;
use crate::inputs::Inputs;
use crate::layer::LayerNorm;
use crate::params::{Init, Scope};
use crate::shape;
use crate::tokens::Tokens;

/// Hashed n-grams. Parameters `embedding.weight`, `[orders · buckets, dim]`, `norm`, and `positions`,
/// `[tokens, position_dim]`.
///
/// Reads the input `tokens`, or that of [`reading`](Self::reading), `[batch, length]`, integers. N-grams with padding in
/// them do not count, and windows of nothing but padding are masked out.
#[derive(Debug)]
pub struct NgramTokenizer {
    embedding: Tensor,
    norm: Option<LayerNorm>,
    positions: Option<Tensor>,
    spec: NgramsSpec,
    input: String,
}

impl NgramTokenizer {
    /// The tokenizer of `spec`.
    ///
    /// # Errors
    /// A size is zero or a name is taken.
    pub fn new(root: &mut Scope<'_>, spec: &NgramsSpec) -> Result<Self> {
        let norm = spec.norm.as_ref();
        let norm = norm
            .map(|norm| LayerNorm::from_spec(root, norm))
            .transpose()?;
        let mut scope = root.sub(&spec.path);
        let size = [
            shape::positive("buckets", spec.orders.len() * spec.buckets)?,
            shape::positive("dim", spec.dim)?,
        ];
        let start = Init::Normal { std: 1.0 };
        Ok(Self {
            embedding: scope.sub("embedding").parameter("weight", &size, start)?,
            norm,
            positions: symbols::positions(&mut scope, spec.tokens(), spec.position_dim)?,
            spec: spec.clone(),
            input: "tokens".into(),
        })
    }

    /// Reads an input of another name.
    #[must_use]
    pub fn reading(mut self, input: impl Into<String>) -> Self {
        self.input = input.into();
        self
    }

    /// Rows of `embedding` of the n-grams that end at each position, and whether they count.
    ///
    /// # Shapes
    /// - symbols: `[batch, length]`; real: the same, boolean
    /// - outputs: `[batch, length, orders]`
    fn ngrams(&self, symbols: &Tensor, real: &Tensor) -> Result<(Tensor, Tensor)> {
        let longest = self.spec.orders.last().copied().unwrap_or(0);
        let mut hash = symbols.f_zeros_like()?;
        let mut there = real.f_ones_like()?;
        let (mut rows, mut counts) = (Vec::new(), Vec::new());
        for length in 1..=longest {
            if length > 1 {
                // What ends one symbol earlier; nothing does before the first.
                hash = before(&hash)?;
                there = before(&there)?;
            }
            there = there.f_logical_and(real)?;
            hash = hash.f_mul_scalar(NgramsSpec::MULTIPLIER)?.f_add(symbols)?;
            hash = hash.f_add_scalar(1)?.f_remainder(NgramsSpec::MODULUS)?;
            if let Ok(order) = self.spec.orders.binary_search(&length) {
                let first = (order * self.spec.buckets) as i64;
                let bucket = hash.f_remainder(self.spec.buckets as i64)?;
                rows.push(bucket.f_add_scalar(first)?);
                counts.push(there.shallow_clone());
            }
        }
        Ok((Tensor::f_stack(&rows, 2)?, Tensor::f_stack(&counts, 2)?))
    }

    /// The pooled vectors of each window, `[batch, tokens, dim]`.
    fn pool(&self, rows: &Tensor, counts: &Tensor) -> Result<Tensor> {
        let window = self.spec.window as i64;
        let (rows, counts) = (
            symbols::windows(rows, window)?,
            symbols::windows(counts, window)?,
        );
        let size = rows.size();
        let (windows, ngrams) = (size[0] * size[1], size[2] * size[3]);
        let offsets =
            Tensor::f_arange_start_step(0, windows * ngrams, ngrams, (Kind::Int64, rows.device()))?;
        let weights = counts.f_to_kind(self.embedding.kind())?;
        let rows = rows.f_flatten(0, 3)?;
        let flat = weights.f_flatten(0, 3)?;
        const SUM: i64 = 0;
        let (sums, ..) = Tensor::f_embedding_bag(
            &self.embedding,
            &rows,
            &offsets,
            false,
            SUM,
            false,
            Some(&flat),
            false,
        )?;
        let sums = sums.f_view([size[0], size[1], -1])?;
        match self.spec.pooling {
            NgramPooling::Sum => Ok(sums),
            NgramPooling::Mean => {
                let dims = [2, 3];
                let count = weights.f_sum_dim_intlist(&dims[..], false, weights.kind())?;
                Ok(sums.f_div(&count.f_clamp_min(1.0)?.f_unsqueeze(-1)?)?)
            }
        }
    }
}

/// Each position gets what the one before has; the first gets zero or false.
fn before(x: &Tensor) -> Result<Tensor> {
    let length = x.size()[1];
    Ok(x.f_constant_pad_nd([1, 0])?.f_narrow(1, 0, length)?)
}

impl Tokenizer for NgramTokenizer {
    fn token_dim(&self) -> usize {
        self.spec.token_dim()
    }

    fn tokenize(&self, inputs: &Inputs, ctx: &mut ForwardContext<'_>) -> Result<Tokens> {
        let sizes = (self.spec.symbols.vocabulary, self.spec.symbols.max_len);
        let symbols = symbols::read("NgramTokenizer", inputs, &self.input, sizes)?;
        let real = symbols.f_ne(self.spec.symbols.pad)?;
        let (rows, counts) = self.ngrams(&symbols, &real)?;
        let mut tokens = self.pool(&rows, &counts)?;
        if let Some(norm) = &self.norm {
            tokens = norm.forward(&tokens)?;
        }
        let tokens = symbols::beside(tokens, self.positions.as_ref())?;
        ctx.record("tokens", &tokens);
        Tokens::masked(tokens, symbols::any(&real, self.spec.window as i64)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::params::ParamStore;
    use nac_core::model::NgramsConfig;
    use tch::Device;

    fn tokenizer(config: NgramsConfig) -> (ParamStore, NgramTokenizer) {
        let mut store = ParamStore::new(Device::Cpu, Kind::Double, 1);
        let spec = config.resolve("", (9, 20, 0)).unwrap();
        let built = NgramTokenizer::new(&mut store.root(), &spec).unwrap();
        (store, built)
    }

    /// Every n-gram one after the other, by the hash of the specification.
    #[test]
    fn tokens_are_means_of_the_vectors_of_the_documented_hash() {
        let (_store, tokenizer) = tokenizer(NgramsConfig {
            orders: vec![1, 3],
            buckets: 11,
            dim: 2,
            window: 4,
            norm: false,
            position_dim: 0,
            ..Default::default()
        });
        let symbols = [3_i64, 8, 1, 4, 1, 5];
        let padded = [&symbols[..], &[0, 0, 0]].concat();
        let inputs = Inputs::tokens(Tensor::from_slice(&padded).view([1, 9]));
        let mut ctx = ForwardContext::evaluation();
        let tokens = tokenizer.tokenize(&inputs, &mut ctx).unwrap();
        let weight =
            |row: usize, feature: i64| tokenizer.embedding.double_value(&[row as i64, feature]);
        for feature in 0..2 {
            for (token, ends) in [(0, 0..4), (1, 4..6)] {
                let mut all = Vec::new();
                for end in ends {
                    for (order, length) in [(0, 1), (1, 3)] {
                        let Some(start) = (end + 1_usize).checked_sub(length) else {
                            continue;
                        };
                        let run = symbols[start..=end].iter();
                        let hash = run.fold(0, |hash, s| NgramsSpec::extend(hash, *s));
                        all.push(weight(tokenizer.spec.bucket(order, hash), feature));
                    }
                }
                assert_eq!(all.len(), [6, 4][token as usize]);
                let mean = all.iter().sum::<f64>() / all.len() as f64;
                let found = tokens.values().double_value(&[0, token, feature]);
                assert!((found - mean).abs() < 1e-12, "{found} {mean}");
            }
        }
        let mask = Vec::<bool>::try_from(tokens.mask().unwrap().flatten(0, 1)).unwrap();
        assert_eq!(mask, [true, true, false]);
    }

    #[test]
    fn gradients_reach_the_vectors_that_were_looked_up_and_no_others() {
        let (_store, tokenizer) = tokenizer(NgramsConfig {
            orders: vec![2],
            buckets: 50,
            dim: 3,
            window: 2,
            ..Default::default()
        });
        let inputs = Inputs::tokens(Tensor::from_slice(&[3_i64, 8, 3, 8, 0]).view([1, 5]));
        let mut ctx = ForwardContext::evaluation();
        let tokens = tokenizer.tokenize(&inputs, &mut ctx).unwrap();
        tokens
            .values()
            .pow_tensor_scalar(3)
            .sum(Kind::Double)
            .backward();
        let gradient = tokenizer
            .embedding
            .grad()
            .abs()
            .sum_dim_intlist(1, false, Kind::Double);
        let touched = gradient.gt(0.0).sum(Kind::Int64).int64_value(&[]);
        assert_eq!(touched, 2);
    }
}
