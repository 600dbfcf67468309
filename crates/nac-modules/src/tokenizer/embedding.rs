//! Sequence tokenizer: a learned vector per symbol beside a learned vector per position.

use nac_core::model::spec::EmbeddingSpec;
use tch::Tensor;

use super::{Tokenizer, symbols};
use crate::context::ForwardContext;
use crate::error::Result;
use crate::inputs::Inputs;
use crate::params::{Init, Scope};
use crate::shape;
use crate::tokens::Tokens;

/// Symbol and position embeddings. Parameters `embedding.weight`, `[vocabulary, dim]`, and `positions`,
/// `[max_len, position_dim]`.
///
/// Reads the input `tokens`, or that of [`reading`](Self::reading), `[batch, length]`, integers; the padding symbol is masked out.
#[derive(Debug)]
pub struct EmbeddingTokenizer {
    embedding: Tensor,
    positions: Tensor,
    pad: i64,
    token_dim: usize,
    input: String,
}

impl EmbeddingTokenizer {
    /// The tokenizer of `spec`.
    ///
    /// # Errors
    /// A size is zero or a name is taken.
    pub fn new(scope: &mut Scope<'_>, spec: &EmbeddingSpec) -> Result<Self> {
        let mut scope = scope.sub(&spec.path);
        let start = Init::Normal { std: 1.0 };
        let size = [
            shape::positive("vocabulary", spec.vocabulary)?,
            shape::positive("dim", spec.dim)?,
        ];
        let embedding = scope.sub("embedding").parameter("weight", &size, start)?;
        let size = [
            shape::positive("max_len", spec.max_len)?,
            shape::positive("position_dim", spec.position_dim)?,
        ];
        let positions = scope.parameter("positions", &size, start)?;
        Ok(Self {
            embedding,
            positions,
            pad: spec.pad,
            token_dim: spec.token_dim(),
            input: "tokens".into(),
        })
    }

    /// Reads an input of another name.
    #[must_use]
    pub fn reading(mut self, input: impl Into<String>) -> Self {
        self.input = input.into();
        self
    }
}

impl Tokenizer for EmbeddingTokenizer {
    fn token_dim(&self) -> usize {
        self.token_dim
    }

    fn tokenize(&self, inputs: &Inputs, ctx: &mut ForwardContext<'_>) -> Result<Tokens> {
        let sizes = [&self.embedding, &self.positions].map(|tensor| tensor.size()[0] as usize);
        let sizes = (sizes[0], sizes[1]);
        let symbols = symbols::read("EmbeddingTokenizer", inputs, &self.input, sizes)?;
        let (batch, length) = (symbols.size()[0], symbols.size()[1]);
        let embedded = Tensor::f_embedding(&self.embedding, &symbols, -1, false, false)?;
        let positions = self
            .positions
            .narrow(0, 0, length)
            .unsqueeze(0)
            .expand([batch, -1, -1], false);
        let tokens = Tensor::cat(&[embedded, positions], -1);
        ctx.record("tokens", &tokens);
        Tokens::masked(tokens, symbols.ne(self.pad))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::params::ParamStore;
    use nac_core::model::EmbeddingConfig;
    use tch::{Device, Kind};

    #[test]
    fn masks_padding_and_refuses_foreign_symbols() {
        let mut store = ParamStore::new(Device::Cpu, Kind::Float, 1);
        let config = EmbeddingConfig {
            dim: 4,
            position_dim: 2,
        };
        let tokenizer =
            EmbeddingTokenizer::new(&mut store.root(), &config.resolve("", (5, 6, 0)).unwrap());
        let tokenizer = tokenizer.unwrap();
        let mut ctx = ForwardContext::evaluation();
        let mut run = |values: &[i64], shape: [i64; 2]| {
            let inputs = Inputs::tokens(Tensor::from_slice(values).view(shape));
            tokenizer.tokenize(&inputs, &mut ctx)
        };
        let tokens = run(&[1, 2, 0, 4, 0, 0], [2, 3]).unwrap();
        assert_eq!(tokens.values().size(), [2, 3, 6]);
        let mask = Vec::<bool>::try_from(tokens.mask().unwrap().flatten(0, 1)).unwrap();
        assert_eq!(mask, [true, true, false, true, false, false]);
        assert!(run(&[5], [1, 1]).unwrap_err().to_string().contains("0..5"));
        assert!(run(&[-1], [1, 1]).is_err());
        assert!(
            run(&[1; 7], [1, 7])
                .unwrap_err()
                .to_string()
                .contains("1..=6")
        );
    }
}
