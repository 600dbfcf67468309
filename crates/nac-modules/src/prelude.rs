//! What most programs need: `use nac_modules::prelude::*;`.

pub use nac_core::Streams;
pub use nac_core::model::Preset;
pub use tch::{Device, Kind, Tensor};

pub use crate::circuit::{CircuitConfig, CircuitOutput};
pub use crate::context::{ForwardContext, StreamNoise};
pub use crate::generator::{Circuit, CircuitGenerator, ModuleSet};
pub use crate::inputs::Inputs;
pub use crate::model::{
    BuildModel, InputSpec, Model, ModelConfig, ModelFile, ModelOutput, NeuralCircuit, OutputSpec,
    build_model,
};
pub use crate::params::{Init, ParamStore, Scope};
pub use crate::tokenizer::Tokenizer;
pub use crate::{ModuleError, Tokens};
