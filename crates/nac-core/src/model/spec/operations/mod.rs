//! What a model costs at least: operations and bytes of each stage, from its resolved form alone.
//!
//! Counted are matrix products and convolutions (a multiply-add is two operations), and apart from them the
//! exponentials and error functions. Norms, sums and products entry by entry are not counted; they move memory
//! that the bytes of the products beside them cover.
//!
//! Two ways of computing the same numbers:
//! - [`Algorithm::Reference`], as the authors' code: a key and a value for each token and module, all modulation and
//!   all links at every call;
//! - [`Algorithm::Folded`], what remains after exact algebra: the projectors of the read-in move to the other side of the
//!   sums over tokens, and all that depends on parameters alone is computed once.
//!
//! Where a text changes the circuit, modulation and links are work for each example.
//!
//! A training step is counted as three forward passes: the backward pass of a product is two products of its size.

mod circuit;
mod condition;
mod perceiver_io;
mod sequence;
mod table;
#[cfg(test)]
mod tests;
mod tokenizer;
mod work;

use serde::Serialize;

use super::model::{BodySpec, ModelSpec};

pub use table::table;
pub use work::Work;

/// Way of computing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Algorithm {
    /// As the authors' code.
    Reference,
    /// After exact algebra.
    Folded,
}

/// A part of a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stage {
    /// Name, such as `propagators ffn` (all propagators together).
    pub name: &'static str,
    /// Work for each example.
    pub per_example: Work,
    /// Work that does not depend on the input: at every call in the reference, once for a model after folding
    /// (once a step in training).
    pub per_call: Work,
}

impl Stage {
    fn of_examples(name: &'static str, per_example: Work) -> Self {
        Self {
            name,
            per_example,
            per_call: Work::default(),
        }
    }

    fn of_calls(name: &'static str, per_call: Work) -> Self {
        Self {
            name,
            per_example: Work::default(),
            per_call,
        }
    }
}

/// The stages of a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Operations {
    /// Way of computing.
    pub algorithm: Algorithm,
    /// In the order of the forward pass, what depends on parameters alone last.
    pub stages: Vec<Stage>,
    pair_bytes: Option<u64>,
}

impl ModelSpec {
    /// Operations of each stage; sequences are as long as they may be.
    #[must_use]
    pub fn operations(&self, algorithm: Algorithm) -> Operations {
        let tokens = self.inputs.tokens();
        let mut stages = vec![Stage::of_examples("tokenizer", self.inputs.work())];
        let mut pair_bytes = None;
        match &self.body {
            BodySpec::Nac(circuit) => {
                stages.extend(circuit.stages(tokens, algorithm));
                let pairs = tokens * circuit.generator.readers().modules;
                pair_bytes = Some((4 * pairs * self.inputs.token_dim) as u64);
            }
            BodySpec::PerceiverIo(baseline) => stages.extend(baseline.stages(tokens, algorithm)),
            BodySpec::StemOnly(baseline) => {
                stages.push(Stage::of_examples("head", baseline.to_logits.work(1)));
            }
        }
        stages.sort_by_key(|stage| stage.per_example == Work::default());
        Operations {
            algorithm,
            stages,
            pair_bytes,
        }
    }
}

impl Operations {
    /// Bytes of a token for each pair of token and module of an example, which the reference's read-in writes twice;
    /// none for the baseline.
    #[must_use]
    pub fn pair_bytes(&self) -> Option<u64> {
        self.pair_bytes
    }

    /// Work for each example.
    #[must_use]
    pub fn per_example(&self) -> Work {
        self.stages.iter().map(|stage| stage.per_example).sum()
    }

    /// Work that does not depend on the input.
    #[must_use]
    pub fn per_call(&self) -> Work {
        self.stages.iter().map(|stage| stage.per_call).sum()
    }

    /// Operations of a forward pass in evaluation mode.
    #[must_use]
    pub fn inference(&self, batch: usize) -> u64 {
        let examples = self.per_example().flops.saturating_mul(batch as u64);
        match self.algorithm {
            Algorithm::Reference => examples.saturating_add(self.per_call().flops),
            Algorithm::Folded => examples,
        }
    }

    /// Operations of a training step.
    #[must_use]
    pub fn training_step(&self, batch: usize) -> u64 {
        let examples = self.per_example().flops.saturating_mul(batch as u64);
        examples
            .saturating_add(self.per_call().flops)
            .saturating_mul(3)
    }
}
