//! Settings of models, as they stand in TOML files.
//!
//! One file for each box of the model, in the order in which an example goes through them:
//!
//! ```text
//! model_file ─► input, output
//!    │      └──► model ─► tokenizer
//!    preset        │
//!                  ├───► generator (what the text changes)
//!                  ├───► circuit: wiring · latents, seeder
//!                  │        read_in ─► propagator (kernel) ─► read_out ─► head
//!                  │        each made of mod_fc and mod_ffn
//!                  ├───► perceiver_io
//!                  └───► stem_only
//! ```
//!
//! Every setting has a default, and the defaults together are the paper's final configuration; a key that
//! is not known is an error. A model is what its [`ModelFile`] says plus a file of weights, so whatever can
//! read both can run it, with libtorch or without.
//!
//! ```
//! use nac_core::model::{ModelFile, Preset};
//!
//! let preset = Preset::get("cpu-digits")?;
//! let file = preset.file;
//! assert_eq!((file.output.width(), file.model.circuit.modules), (10, 32));
//! file.resolve()?;
//!
//! let error = ModelFile::from_toml("[output]\nclases = 3\n").unwrap_err();
//! assert!(error.to_string().starts_with("model settings:2:1: unknown field `clases`"));
//! # Ok::<(), nac_core::model::ConfigError>(())
//! ```

mod circuit;
mod error;
mod generator;
mod head;
mod input;
mod kernel;
mod latents;
mod mod_fc;
mod mod_ffn;
mod model_config;
mod model_file;
mod module_group;
mod output;
mod perceiver_io;
mod preprocessing;
mod preset;
mod propagator;
mod read_in;
mod read_out;
mod seeder;
mod sizes;
pub mod spec;
mod stem_only;
mod tokenizer;
mod wiring;

pub use circuit::CircuitConfig;
pub use error::ConfigError;
pub use generator::{GeneratorConfig, GeneratorKind};
pub use head::{HeadConfig, HeadKind, PoolingSoftmax};
pub use input::{InputKind, InputSpec, Normalization};
pub use kernel::{EvaluationLinks, KernelConfig, Truncation};
pub use latents::{LatentsConfig, SignatureStart};
pub use mod_fc::{ModFcConfig, ProjectionKind, ScaleNormalization};
pub use mod_ffn::{Activation, ModFfnConfig};
pub use model_config::{ImageTokenizer, ModelConfig, ModelKind, SequenceTokenizer};
pub use model_file::ModelFile;
pub use module_group::ModuleGroup;
pub use output::OutputSpec;
pub use perceiver_io::PerceiverIoConfig;
pub use preprocessing::{Column, Preprocessing, PreprocessingSpec, Resize, ResizeFilter};
pub use preset::Preset;
pub use propagator::{PropagatorConfig, SkmdpaConfig};
pub use read_in::{ReadInAttentionConfig, ReadInConfig, ReadInKind};
pub use read_out::ReadOutConfig;
pub use seeder::{SeederConfig, StateMean};
pub use stem_only::StemOnlyConfig;
pub use tokenizer::{
    ConvNextConfig, ConvSequenceConfig, ConvStemConfig, EmbeddingConfig, FeaturesConfig,
    NgramPooling, NgramsConfig, PatchesConfig, PointsConfig, RecurrentConfig, TokenizerConfig,
    VoxelsConfig,
};
pub use wiring::{ReadInSends, WiringConfig};
