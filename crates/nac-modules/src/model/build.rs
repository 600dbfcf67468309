//! From settings to a model.

use nac_core::model::Preset;
use tch::{Device, Kind};

use super::{ImageTokenizer, InputSpec, Model, ModelConfig, ModelFile, ModelKind, NeuralCircuit};
use crate::baseline::PerceiverIo;
use crate::error::Result;
use crate::params::{ParamStore, Scope};
use crate::tokenizer::{ConvNextTokenizer, EmbeddingTokenizer, PixelTokenizer, Tokenizer};

/// Builds the model that `config` describes, with its parameters in `store`.
///
/// # Errors
/// A setting is out of range or does not suit the input.
pub fn build_model(
    store: ParamStore,
    config: &ModelConfig,
    input: InputSpec,
    classes: usize,
) -> Result<Box<dyn Model>> {
    let tokenizer = |scope: Scope<'_>| -> Result<Box<dyn Tokenizer>> {
        Ok(match input {
            InputSpec::Image { channels, .. }
                if config.image_tokenizer == ImageTokenizer::Pixels =>
            {
                Box::new(PixelTokenizer::new(channels)?)
            }
            InputSpec::Image {
                channels,
                height,
                width,
            } => Box::new(ConvNextTokenizer::new(
                scope,
                channels,
                height,
                width,
                &config.convnext,
            )?),
            InputSpec::Tokens {
                vocabulary,
                max_len,
                pad,
            } => Box::new(EmbeddingTokenizer::new(
                scope,
                vocabulary,
                max_len,
                pad,
                &config.embedding,
            )?),
        })
    };
    Ok(match config.kind {
        ModelKind::Nac => Box::new(NeuralCircuit::new(
            store,
            &config.circuit,
            classes,
            tokenizer,
        )?),
        ModelKind::PerceiverIo => Box::new(PerceiverIo::new(
            store,
            &config.perceiver_io,
            classes,
            tokenizer,
        )?),
    })
}

/// What describes a whole model, apart from its weights: a [`Preset`] or a [`ModelFile`].
pub trait BuildModel {
    /// Builds the model, with its parameters in `store`.
    ///
    /// # Errors
    /// A setting is out of range, or `store` already has parameters of such names.
    fn build(&self, store: ParamStore) -> Result<Box<dyn Model>>;

    /// Number of trained scalars.
    ///
    /// # Errors
    /// As [`build`](Self::build).
    fn parameter_count(&self) -> Result<usize> {
        let model = self.build(ParamStore::sizes_only(Device::Cpu, Kind::Float))?;
        Ok(model.params().parameter_count())
    }
}

impl BuildModel for Preset {
    fn build(&self, store: ParamStore) -> Result<Box<dyn Model>> {
        build_model(store, &self.model, self.input, self.classes)
    }
}

impl BuildModel for ModelFile {
    fn build(&self, store: ParamStore) -> Result<Box<dyn Model>> {
        build_model(store, &self.model, self.input, self.classes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_builds_the_model_of_its_preset() {
        let preset = Preset::get("cpu-digits").unwrap();
        let file = ModelFile::from_toml(preset.text).unwrap();
        let count = file.parameter_count().unwrap();
        assert_eq!(count, preset.parameter_count().unwrap());
        assert_eq!(count, 451_359);
        let mut refused = file;
        refused.model.circuit.propagators = 0;
        let error = refused.parameter_count().unwrap_err().to_string();
        assert!(error.contains("circuit.propagators"), "{error}");
    }
}
