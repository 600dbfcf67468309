//! The slow, obvious implementation: the authors' code, transcribed operation by operation.
//!
//! It exists to be measured against and compared with. It takes the weights of one of our models by their names and
//! computes what the reference computes in the way the reference does: the scale of every modulated layer at every
//! call, a key and a value for each token and module in the read-in, whole score tensors, links and their
//! normalisation for every propagator, one sample per example. What the reference shares (codes and link
//! probabilities have no batch dimension there) is shared here too, so that it is no slower than it has to be.
//!
//! It knows the final configuration of a circuit at any size, Perceiver IO, and images through the ConvNeXt tokenizer.

mod attention;
mod circuit;
mod kernel;
mod layer;
mod perceiver_io;
mod supported;
#[cfg(test)]
mod tests;
mod tokenizer;
mod weights;

use nac_modules::context::Noise;
use nac_modules::model::{ModelConfig, ModelKind};
use nac_modules::params::ParamStore;
use nac_modules::{ModuleError, Result};
use tch::Tensor;

use kernel::Sampling;
use weights::TensorMap;

/// A model of ours, run the reference's way.
pub struct Naive {
    weights: TensorMap,
    config: ModelConfig,
}

impl std::fmt::Debug for Naive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Naive")
            .field("kind", &self.config.kind)
            .finish_non_exhaustive()
    }
}

impl Naive {
    /// The model that `config` describes, with the weights in `store`. Gradients arrive in the store's tensors.
    ///
    /// # Errors
    /// The settings ask for something other than the final configuration.
    pub fn new(store: &ParamStore, config: &ModelConfig) -> Result<Self> {
        supported::check(config)?;
        Ok(Self {
            weights: TensorMap::new(store),
            config: config.clone(),
        })
    }

    /// Logits. In training links are sampled from `noise`, which is asked by the names our layers use.
    ///
    /// # Shapes
    /// - image: `[batch, channels, height, width]`
    /// - output: `[batch, classes]`
    ///
    /// # Errors
    /// The image does not fit, a weight is missing, or the source of noise fails.
    pub fn forward(&self, image: &Tensor, training: bool, noise: &mut dyn Noise) -> Result<Tensor> {
        let root = self.weights.root();
        let config = &self.config;
        match config.kind {
            ModelKind::Nac => {
                let tokens =
                    tokenizer::tokens(&root.sub("input_tokenizer"), image, &config.convnext)?;
                let temperature = config.circuit.propagator.attention.kernel.temperature;
                let mut sampling = Sampling { noise, temperature };
                let sampling = training.then_some(&mut sampling);
                circuit::forward(&root, &tokens, &config.circuit, sampling)
            }
            ModelKind::PerceiverIo => {
                let tokens = tokenizer::tokens(&root.sub("tokenizer"), image, &config.convnext)?;
                perceiver_io::forward(&root, &tokens, &config.perceiver_io)
            }
            ModelKind::StemOnly => Err(ModuleError::Setting {
                name: "model.kind".into(),
                value: config.kind.to_string(),
                reason: "the authors' code has no such model".into(),
            }),
        }
    }
}
