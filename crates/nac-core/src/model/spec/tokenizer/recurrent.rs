//! The resolved tokenizer of sequences by linear recurrences.

use serde::Serialize;

use super::symbols::{SymbolsSpec, positions};
use crate::model::spec::layer::{LinearSpec, NormSpec, positive};
use crate::model::spec::node::{Node, OwnTensor, join, trained};
use crate::model::{ConfigError, RecurrentConfig};

/// A gated diagonal linear recurrence around which the input goes.
///
/// For the feature vectors `x_t` of a sequence, with `u = LN(x)`:
///
/// ```text
/// v = W_v u                                       [states]
/// c_t = Σ_k kernel_k ⊙ v_{t−k}, k = 0..4          causal, zeros before the sequence
/// s_t = λ ⊙ s_{t−1} + gain ⊙ c_t,  λ = exp(−max(decay, 0))
/// y = x + W_o (s ⊙ GELU(W_g u + b_g)) + b_o
/// ```
///
/// A state depends on no later symbol, so padding at the end changes nothing before it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RecurrenceSpec {
    /// Path of `kernel`, `[4, states]`, `kernel[k]` for the position `k` before; `decay` and `gain`, both `[states]`.
    pub path: String,
    /// Of the input.
    pub norm: NormSpec,
    /// `W_v`.
    pub value: LinearSpec,
    /// `W_g` and `b_g`.
    pub gate: LinearSpec,
    /// `W_o` and `b_o`.
    pub output: LinearSpec,
    /// Number of states.
    pub states: usize,
    /// How many of the first states have eigenvalues that start at 1.
    pub counters: usize,
}

impl RecurrenceSpec {
    /// Positions of the causal convolution.
    pub const KERNEL: usize = 4;
    /// Longest time constant that an eigenvalue below 1 starts with, in symbols; the shortest is 1.
    pub const LONGEST: f64 = 1000.0;
    /// Least initial gain.
    pub const LEAST_GAIN: f64 = 0.125;

    fn new(path: String, (dim, states, counters): (usize, usize, usize)) -> Self {
        let linear = |name: &str, input, output, bias| {
            LinearSpec::new(join(&path, name), input, output, bias)
        };
        Self {
            norm: NormSpec::new(join(&path, "norm"), dim),
            value: linear("value", dim, states, false),
            gate: linear("gate", dim, states, true),
            output: linear("output", states, dim, true),
            states,
            counters,
            path,
        }
    }

    /// Initial decays `−ln λ`: 0 for counters, then from 1 to 1/1,000 in equal ratios.
    #[must_use]
    pub fn initial_decays(&self) -> Vec<f64> {
        let others = self.states - self.counters;
        let decay = |index: usize| {
            let share = index as f64 / others.saturating_sub(1).max(1) as f64;
            Self::LONGEST.powf(-share)
        };
        let counters = std::iter::repeat_n(0.0, self.counters);
        counters.chain((0..others).map(decay)).collect()
    }

    /// Initial gains `√(1 − λ²)`, with which noise of variance 1 gives states of variance 1, but not below 1/8.
    #[must_use]
    pub fn initial_gains(&self) -> Vec<f64> {
        let decays = self.initial_decays().into_iter();
        let gain = |decay: f64| (1.0 - (-2.0 * decay).exp()).sqrt();
        decays
            .map(|decay| gain(decay).max(Self::LEAST_GAIN))
            .collect()
    }
}

impl Node for RecurrenceSpec {
    fn path(&self) -> &str {
        &self.path
    }

    fn describe(&self) -> String {
        format!("linear recurrence of {} states", self.states)
    }

    fn children(&self) -> Vec<&dyn Node> {
        vec![&self.norm, &self.value, &self.gate, &self.output]
    }

    fn tensors(&self) -> Vec<OwnTensor> {
        vec![
            trained("kernel", &[Self::KERNEL, self.states]),
            trained("decay", &[self.states]),
            trained("gain", &[self.states]),
        ]
    }
}

/// Symbol embeddings through recurrences, means over windows, a layer norm; perhaps a learned vector per token beside
/// them.
///
/// A token is the mean over those symbols of its window that are not padding, and counts if there are any.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RecurrentSpec {
    /// Path of `embedding.weight`, `[vocabulary, dim]`, `layers`, `norm` and `positions`, `[tokens, position_dim]`.
    pub path: String,
    /// What it reads.
    pub symbols: SymbolsSpec,
    /// Features of a symbol.
    pub dim: usize,
    /// The recurrences.
    pub layers: Vec<RecurrenceSpec>,
    /// Of the means.
    pub norm: NormSpec,
    /// Symbols of a window.
    pub window: usize,
    /// Features of a token position; 0 for none.
    pub position_dim: usize,
}

impl RecurrentConfig {
    /// The tokenizer with these settings at `path` for sequences of up to `max_len` of `vocabulary` symbols.
    ///
    /// # Errors
    /// [`ConfigError::Setting`] if a size is zero or the share of counters is not within 0 and 1.
    pub fn resolve(
        &self,
        path: &str,
        (vocabulary, max_len, pad): (usize, usize, i64),
    ) -> Result<RecurrentSpec, ConfigError> {
        if !(0.0..=1.0).contains(&self.counters) {
            return Err(ConfigError::Setting {
                name: "recurrent.counters".into(),
                value: self.counters.to_string(),
                reason: "must lie within 0 and 1".into(),
            });
        }
        let (dim, states) = (positive("dim", self.dim)?, positive("states", self.states)?);
        let counters = (self.counters * states as f64).round() as usize;
        let layer = |index| {
            let path = join(path, &format!("layers.{index}"));
            RecurrenceSpec::new(path, (dim, states, counters))
        };
        Ok(RecurrentSpec {
            path: path.to_owned(),
            symbols: SymbolsSpec::new((vocabulary, max_len, pad))?,
            dim,
            layers: (0..positive("layers", self.layers)?).map(layer).collect(),
            norm: NormSpec::new(join(path, "norm"), dim),
            window: positive("window", self.window)?,
            position_dim: self.position_dim,
        })
    }
}

impl RecurrentSpec {
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

impl Node for RecurrentSpec {
    fn path(&self) -> &str {
        &self.path
    }

    fn describe(&self) -> String {
        let (length, tokens) = (self.symbols.max_len, self.tokens());
        format!("recurrences, {length} symbols to {tokens} tokens")
    }

    fn children(&self) -> Vec<&dyn Node> {
        let layers = self.layers.iter().map(|layer| layer as &dyn Node);
        layers.chain([&self.norm as &dyn Node]).collect()
    }

    fn tensors(&self) -> Vec<OwnTensor> {
        let mut all = vec![self.symbols.embedding(self.dim)];
        all.extend(positions(self.tokens(), self.position_dim));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_eigenvalues_start_at_one_and_the_others_cover_three_decades() {
        let spec = RecurrentConfig::default()
            .resolve("t", (20, 100, 0))
            .unwrap();
        let layer = &spec.layers[1];
        let (decays, gains) = (layer.initial_decays(), layer.initial_gains());
        assert_eq!((decays.len(), gains.len(), layer.counters), (128, 128, 32));
        assert!(decays[..32].iter().all(|decay| *decay == 0.0));
        assert!((decays[32] - 1.0).abs() < 1e-12 && (decays[127] - 1e-3).abs() < 1e-12);
        assert_eq!((gains[0], gains[127]), (0.125, 0.125));
        assert!((gains[32] - (1.0 - (-2.0_f64).exp()).sqrt()).abs() < 1e-12);
        assert_eq!(layer.path, "t.layers.1");
        let all = RecurrentConfig {
            counters: 1.0,
            window: 8,
            ..Default::default()
        };
        let spec = all.resolve("", (20, 100, 0)).unwrap();
        assert_eq!((spec.tokens(), spec.token_dim()), (13, 192));
        assert!(spec.layers[0].initial_decays().iter().all(|d| *d == 0.0));
        let wrong = RecurrentConfig {
            counters: 1.5,
            ..Default::default()
        };
        assert!(wrong.resolve("", (20, 100, 0)).is_err());
    }
}
