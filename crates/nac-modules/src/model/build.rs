//! From settings to a model.

use nac_core::model::Preset;
use nac_core::model::spec::{GeneratorSpec, ModelSpec, Node as _};

use super::{InputSpec, Model, ModelConfig, ModelFile, ModelKind, NeuralCircuit, OutputSpec};
use crate::baseline::{PerceiverIo, StemOnly};
use crate::error::Result;
use crate::generator::{CircuitGenerator, ConditionalGenerator, FreeGenerator};
use crate::params::{ParamStore, Scope};
use crate::tokenizer::{ModelTokenizer, Tokenizer};

/// Builds the model that `config` describes, with its parameters in `store`.
///
/// # Errors
/// A setting is out of range or does not suit the inputs.
pub fn build_model(
    store: ParamStore,
    config: &ModelConfig,
    inputs: &InputSpec,
    output: &OutputSpec,
) -> Result<Box<dyn Model>> {
    output.check()?;
    let tokenizer = |scope: Scope<'_>| -> Result<Box<dyn Tokenizer>> {
        Ok(Box::new(ModelTokenizer::new(scope, config, inputs)?))
    };
    let width = output.width();
    Ok(match config.kind {
        ModelKind::Nac => {
            let circuit = &config.circuit;
            let generator = |mut scope: Scope<'_>, spec: &GeneratorSpec| {
                Ok::<Box<dyn CircuitGenerator>, _>(
                    match config.resolve_condition(spec, inputs)? {
                        Some(text) => Box::new(ConditionalGenerator::new(&mut scope, spec, &text)?),
                        None => Box::new(FreeGenerator::new(&mut scope, spec)?),
                    },
                )
            };
            let model = NeuralCircuit::with_generator(store, circuit, width, tokenizer, generator);
            Box::new(model?)
        }
        ModelKind::PerceiverIo => Box::new(PerceiverIo::new(
            store,
            &config.perceiver_io,
            width,
            tokenizer,
        )?),
        ModelKind::StemOnly => Box::new(StemOnly::new(store, &config.stem_only, width, tokenizer)?),
    })
}

/// What describes a whole model, apart from its weights: a [`Preset`] or a [`ModelFile`].
pub trait BuildModel {
    /// Builds the model, with its parameters in `store`.
    ///
    /// # Errors
    /// A setting is out of range, or `store` already has parameters of such names.
    fn build(&self, store: ParamStore) -> Result<Box<dyn Model>>;

    /// The resolved model.
    ///
    /// # Errors
    /// A setting is out of range.
    fn spec(&self) -> Result<ModelSpec>;

    /// Number of trained scalars.
    ///
    /// # Errors
    /// A setting is out of range.
    fn parameter_count(&self) -> Result<usize> {
        Ok(self.spec()?.parameter_count())
    }
}

impl BuildModel for Preset {
    fn build(&self, store: ParamStore) -> Result<Box<dyn Model>> {
        self.file.build(store)
    }

    fn spec(&self) -> Result<ModelSpec> {
        self.file.spec()
    }
}

impl BuildModel for ModelFile {
    fn build(&self, store: ParamStore) -> Result<Box<dyn Model>> {
        build_model(store, &self.model, &self.inputs, &self.output)
    }

    fn spec(&self) -> Result<ModelSpec> {
        Ok(self.resolve()?)
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
