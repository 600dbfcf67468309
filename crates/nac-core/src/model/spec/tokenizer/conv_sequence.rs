//! The resolved tokenizer of sequences by strided convolutions.

use serde::Serialize;

use super::symbols::{SymbolsSpec, positions};
use crate::model::spec::layer::{NormSpec, positive};
use crate::model::spec::node::{Node, OwnTensor, join, trained};
use crate::model::{ConfigError, ConvSequenceConfig};

/// One convolution along a sequence.
///
/// Output `j` of `⌈n / stride⌉` reads the `kernel` positions from `j · stride − left` on; positions outside the sequence
/// are zeros.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SequenceConvSpec {
    /// Path of `weight`, `[output, input, kernel]`, and `bias`, `[output]`.
    pub path: String,
    /// Input features.
    pub input: usize,
    /// Output features.
    pub output: usize,
    /// Positions that an output reads.
    pub kernel: usize,
    /// Positions between neighbouring outputs.
    pub stride: usize,
    /// Over the outputs, before GELU.
    pub norm: Option<NormSpec>,
    /// Whether the result is added to the input.
    pub residual: bool,
}

impl SequenceConvSpec {
    /// Positions that an output reads before those that it stands for, `⌊(kernel − stride) / 2⌋`.
    #[must_use]
    pub fn left(&self) -> usize {
        (self.kernel - self.stride) / 2
    }
}

impl Node for SequenceConvSpec {
    fn path(&self) -> &str {
        &self.path
    }

    fn describe(&self) -> String {
        let residual = if self.residual { ", residual" } else { "" };
        format!(
            "convolution of {} by {}, {} -> {}{residual}",
            self.kernel, self.stride, self.input, self.output
        )
    }

    fn children(&self) -> Vec<&dyn Node> {
        self.norm.iter().map(|norm| norm as &dyn Node).collect()
    }

    fn tensors(&self) -> Vec<OwnTensor> {
        vec![
            trained("weight", &[self.output, self.input, self.kernel]),
            trained("bias", &[self.output]),
        ]
    }
}

/// Symbol embeddings through strided convolutions, perhaps a learned vector per token beside them.
///
/// Padding is zero before every convolution. A token stands for as many symbols as the strides multiply to and counts if
/// one of them is not padding; so a sequence gives the same tokens however far it is padded.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ConvSequenceSpec {
    /// Path of `embedding.weight`, `[vocabulary, dim]`, `layers` and `positions`, `[tokens, position_dim]`.
    pub path: String,
    /// What it reads.
    pub symbols: SymbolsSpec,
    /// Features of a symbol.
    pub dim: usize,
    /// The convolutions, `convolution → layer norm → GELU`.
    pub layers: Vec<SequenceConvSpec>,
    /// Features of a token position; 0 for none.
    pub position_dim: usize,
}

impl ConvSequenceConfig {
    /// The tokenizer with these settings at `path` for sequences of up to `max_len` of `vocabulary` symbols.
    ///
    /// # Errors
    /// [`ConfigError::Setting`] if a size is zero, the lists differ in length, or a kernel is below its stride.
    pub fn resolve(
        &self,
        path: &str,
        (vocabulary, max_len, pad): (usize, usize, i64),
    ) -> Result<ConvSequenceSpec, ConfigError> {
        let refuse = |name: &str, value: String, reason: String| ConfigError::Setting {
            name: format!("conv_sequence.{name}"),
            value,
            reason,
        };
        let layers = self.widths.len();
        for (name, list) in [("kernels", &self.kernels), ("strides", &self.strides)] {
            if layers == 0 || list.len() != layers {
                let reason = format!("must have one entry for each of widths {:?}", self.widths);
                return Err(refuse(name, format!("{list:?}"), reason));
            }
        }
        let mut input = positive("dim", self.dim)?;
        let mut all = Vec::with_capacity(layers);
        let sizes = self.kernels.iter().zip(&self.strides);
        for (index, (&output, (&kernel, &stride))) in self.widths.iter().zip(sizes).enumerate() {
            if kernel < positive("strides", stride)? {
                let reason = format!("must be at least the stride, {stride}");
                return Err(refuse("kernels", kernel.to_string(), reason));
            }
            let path = join(path, &format!("layers.{index}"));
            let norm = NormSpec::new(join(&path, "norm"), output);
            all.push(SequenceConvSpec {
                input,
                output: positive("widths", output)?,
                kernel,
                stride,
                norm: self.norm.then_some(norm),
                residual: self.residual && stride == 1 && input == output,
                path,
            });
            input = output;
        }
        Ok(ConvSequenceSpec {
            path: path.to_owned(),
            symbols: SymbolsSpec::new((vocabulary, max_len, pad))?,
            dim: self.dim,
            layers: all,
            position_dim: self.position_dim,
        })
    }
}

impl ConvSequenceSpec {
    /// Symbols that a token stands for.
    #[must_use]
    pub fn window(&self) -> usize {
        self.layers.iter().map(|layer| layer.stride).product()
    }

    /// Tokens of the longest sequence.
    #[must_use]
    pub fn tokens(&self) -> usize {
        self.symbols.tokens(self.window())
    }

    /// Features of a token without its position.
    #[must_use]
    pub fn width(&self) -> usize {
        self.layers.last().map_or(self.dim, |layer| layer.output)
    }

    /// Features of a token.
    #[must_use]
    pub fn token_dim(&self) -> usize {
        self.width() + self.position_dim
    }
}

impl Node for ConvSequenceSpec {
    fn path(&self) -> &str {
        &self.path
    }

    fn describe(&self) -> String {
        let (length, tokens) = (self.symbols.max_len, self.tokens());
        format!("convolutions, {length} symbols to {tokens} tokens")
    }

    fn children(&self) -> Vec<&dyn Node> {
        let layers = self.layers.iter();
        layers.map(|layer| layer as &dyn Node).collect()
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
    fn the_strides_say_how_many_tokens() {
        let spec = ConvSequenceConfig::default()
            .resolve("t", (257, 4096, 0))
            .unwrap();
        assert_eq!((spec.tokens(), spec.token_dim()), (256, 256));
        assert_eq!(spec.layers[1].left(), 2);
        let config = ConvSequenceConfig {
            widths: vec![16, 16, 16, 8],
            kernels: vec![4, 3, 2, 1],
            strides: vec![3, 1, 2, 1],
            ..Default::default()
        };
        let spec = config.resolve("", (9, 20, 0)).unwrap();
        assert_eq!((spec.window(), spec.tokens(), spec.width()), (6, 4, 8));
        let residual: Vec<bool> = spec.layers.iter().map(|layer| layer.residual).collect();
        assert_eq!(residual, [false, true, false, false]);
    }

    #[test]
    fn lists_that_do_not_fit_are_refused() {
        let refused = |change: &dyn Fn(&mut ConvSequenceConfig), part: &str| {
            let mut config = ConvSequenceConfig::default();
            change(&mut config);
            let error = config.resolve("", (9, 20, 0)).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        };
        refused(&|c| c.kernels = vec![8], "conv_sequence.kernels");
        refused(&|c| c.strides = vec![4; 3], "conv_sequence.strides");
        refused(&|c| c.widths.clear(), "one entry");
        refused(&|c| c.kernels = vec![8, 3], "at least the stride, 4");
        refused(&|c| c.strides = vec![4, 0], "strides");
        refused(&|c| c.widths = vec![4, 0], "widths");
    }
}
