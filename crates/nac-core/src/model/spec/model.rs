//! Resolved models.

use serde::Serialize;

use super::circuit::CircuitSpec;
use super::inputs::InputsSpec;
use super::node::Node;
use super::perceiver_io::PerceiverIoSpec;
use super::stem_only::StemOnlySpec;

use crate::model::{ConfigError, InputSpec, ModelConfig, ModelFile, ModelKind};

/// What comes after the tokenizer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum BodySpec {
    /// A Neural Attentive Circuit.
    Nac(Box<CircuitSpec>),
    /// The Perceiver IO baseline.
    PerceiverIo(Box<PerceiverIoSpec>),
    /// The baseline without a body.
    StemOnly(Box<StemOnlySpec>),
}

/// A whole model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelSpec {
    /// From inputs to tokens, but for the text that a generator reads.
    pub inputs: InputsSpec,
    /// From tokens to outputs.
    pub body: BodySpec,
    /// Number of outputs.
    pub outputs: usize,
}

impl ModelConfig {
    /// The model with these settings that reads `inputs` and gives `outputs` numbers.
    ///
    /// # Errors
    /// [`ConfigError::Setting`] if a setting is out of range or settings do not go together.
    pub fn resolve(&self, inputs: &InputSpec, outputs: usize) -> Result<ModelSpec, ConfigError> {
        self.check_sizes()?;
        self.resolve_unchecked(inputs, outputs)
            .map_err(|error| error.within("model"))
    }

    fn resolve_unchecked(
        &self,
        inputs: &InputSpec,
        outputs: usize,
    ) -> Result<ModelSpec, ConfigError> {
        let path = match self.kind {
            ModelKind::Nac => "input_tokenizer",
            ModelKind::PerceiverIo | ModelKind::StemOnly => "tokenizer",
        };
        let all = inputs;
        let inputs = self.resolve_inputs(path, all)?;
        let token_dim = inputs.token_dim;
        let body = match self.kind {
            ModelKind::Nac => {
                let circuit = self.circuit.resolve(token_dim, outputs);
                let mut circuit = circuit.map_err(|error| error.within("circuit"))?;
                circuit.generator.condition = self.resolve_condition(&circuit.generator, all)?;
                BodySpec::Nac(Box::new(circuit))
            }
            ModelKind::PerceiverIo => {
                let baseline = self.perceiver_io.resolve(token_dim, outputs);
                let baseline = baseline.map_err(|error| error.within("perceiver_io"))?;
                BodySpec::PerceiverIo(Box::new(baseline))
            }
            ModelKind::StemOnly => {
                BodySpec::StemOnly(Box::new(self.stem_only.resolve(token_dim, outputs)?))
            }
        };
        Ok(ModelSpec {
            inputs,
            body,
            outputs,
        })
    }
}

impl ModelFile {
    /// The model that the file describes.
    ///
    /// # Errors
    /// As [`ModelConfig::resolve`].
    pub fn resolve(&self) -> Result<ModelSpec, ConfigError> {
        self.output.check()?;
        self.model.resolve(&self.inputs, self.output.width())
    }
}

impl Node for ModelSpec {
    fn path(&self) -> &str {
        ""
    }

    fn describe(&self) -> String {
        format!("model of {} outputs", self.outputs)
    }

    fn children(&self) -> Vec<&dyn Node> {
        let body: &dyn Node = match &self.body {
            BodySpec::Nac(circuit) => circuit.as_ref(),
            BodySpec::PerceiverIo(baseline) => baseline.as_ref(),
            BodySpec::StemOnly(baseline) => baseline.as_ref(),
        };
        vec![&self.inputs, body]
    }
}
