//! What a model costs at least: operations and bytes of each stage, from the settings alone.
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
//! A training step is counted as three forward passes: the backward pass of a product is two products of its size.

mod circuit;
mod perceiver_io;
mod product;
mod stage;
mod table;
#[cfg(test)]
mod tests;
mod tokenizer;

use nac_modules::model::{ImageTokenizer, InputSpec, ModelConfig, ModelKind};
use nac_modules::{ModuleError, Result};
use serde::Serialize;

pub use product::Work;
pub use stage::{Algorithm, Stage};
pub use table::table;

/// The stages of a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Count {
    /// Way of computing.
    pub algorithm: Algorithm,
    /// In the order of the forward pass, what depends on parameters alone last.
    pub stages: Vec<Stage>,
    pair_bytes: Option<u64>,
}

impl Count {
    /// Counts a model that reads images through the ConvNeXt tokenizer; a circuit must be wired as the final
    /// configuration is, where processors take over the states of the read-in.
    ///
    /// # Errors
    /// The model is another.
    pub fn new(
        config: &ModelConfig,
        inputs: &InputSpec,
        classes: usize,
        algorithm: Algorithm,
    ) -> Result<Self> {
        let refuse = |name: &str| {
            Err(ModuleError::Setting {
                name: name.into(),
                value: "(counting)".into(),
                reason: "operations of such a model are not counted".into(),
            })
        };
        let Some([channels, height, width]) = inputs.single_image() else {
            return refuse("inputs");
        };
        if config.image_tokenizer != ImageTokenizer::Convnext {
            return refuse("image_tokenizer");
        }
        let wiring = &config.circuit.wiring;
        if config.kind == ModelKind::Nac && *wiring != Default::default() {
            return refuse("circuit.wiring");
        }
        let (tokenizer, tokens, token_dim) =
            tokenizer::stage(&config.convnext, (channels, height, width));
        let mut stages = vec![tokenizer];
        let mut pair_bytes = None;
        let shape = (tokens, token_dim);
        let head = match config.kind {
            ModelKind::Nac => {
                stages.extend(circuit::stages(&config.circuit, shape, algorithm)?);
                let pairs = tokens * config.circuit.modules;
                pair_bytes = Some((4 * pairs * token_dim) as u64);
                let (modules, dim) = (config.circuit.read_out_modules, config.circuit.state_dim);
                product::linear(modules, dim, 1)
                    + product::product(1, modules, dim)
                    + product::linear(1, dim, classes)
            }
            ModelKind::PerceiverIo => {
                stages.extend(perceiver_io::stages(&config.perceiver_io, shape, algorithm));
                product::linear(1, config.perceiver_io.query_dim(), classes)
            }
        };
        stages.push(Stage::of_images("head", head));
        stages.sort_by_key(|stage| stage.per_image == Work::default());
        Ok(Self {
            algorithm,
            stages,
            pair_bytes,
        })
    }

    /// Bytes of a token for each pair of token and module of an image, which the reference's read-in writes twice;
    /// none for a model without such a read-in.
    pub fn pair_bytes(&self) -> Option<u64> {
        self.pair_bytes
    }

    /// Work for each image.
    pub fn per_image(&self) -> Work {
        self.stages.iter().map(|stage| stage.per_image).sum()
    }

    /// Work that does not depend on the input.
    pub fn per_call(&self) -> Work {
        self.stages.iter().map(|stage| stage.per_call).sum()
    }

    /// Operations of a forward pass in evaluation mode.
    pub fn forward(&self, batch: usize) -> u64 {
        let images = self.per_image().flops * batch as u64;
        match self.algorithm {
            Algorithm::Reference => images + self.per_call().flops,
            Algorithm::Folded => images,
        }
    }

    /// Operations of a training step.
    pub fn training_step(&self, batch: usize) -> u64 {
        3 * (self.per_image().flops * batch as u64 + self.per_call().flops)
    }
}
