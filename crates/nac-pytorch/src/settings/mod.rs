//! Import of the reference's configuration: from its option names and defaults to the settings of this crate.
//!
//! [`import`] takes a table as the reference writes it (JSON, or YAML read into the same values), with the
//! class under `cls`, and gives the settings from which this crate builds the same layer or model, with the
//! same parameter names. Nothing is ignored silently: an option without counterpart is a
//! [`ReferenceError`] that names its path and value.
//!
//! Defaults are the reference's, which differ from this crate's: there a `ModFC` has gain 1 and no `+ 1`,
//! kernels learn their bandwidth and do not sample, here the defaults are the paper's final configuration.
//! The reference draws the noise of initial states and of Gumbel pooling in evaluation too; so does what is
//! imported, by `noise_in_evaluation`, which is off otherwise.
//!
//! ```
//! use nac_pytorch::settings::{Imported, import};
//!
//! let table = serde_json::json!({
//!     "cls": "ModFC", "in_features": 12, "out_features": 10, "context_features": 8,
//!     "add_one_to_scale": true, "learnable_scale_gain": true, "scale_gain": 0.1,
//! });
//! let Imported::Projection(layer) = import(&table)? else { panic!() };
//! assert_eq!(layer.mod_fc, Default::default());
//!
//! let error = import(&serde_json::json!({"cls": "ModFFN", "state_dim": 8, "code_dim": 8, "capacity_factor": 4,
//!     "mod_fc_kwargs": {"sale_gain": 1}})).unwrap_err();
//! assert!(error.to_string().contains("mod_fc_kwargs.sale_gain"));
//! # Ok::<(), nac_pytorch::settings::ReferenceError>(())
//! ```

mod attention;
mod blocks;
mod circuit;
mod error;
mod latents;
mod layers;
mod model;
mod reader;
mod tokenizer;

use serde_json::Value;

pub use error::ReferenceError;
pub use latents::{ImportedLatents, ImportedSeededLatents, InitialGraph};
pub use model::{ImportedModel, ImportedPerceiverIo, PerceiverTokens};
pub(crate) use tokenizer::CAPACITY_PRESETS;
pub use tokenizer::{ImportedGrid, ImportedTokenizer};

use nac_core::model::spec::{
    CircuitSpec, HeadSpec, ModFfnSpec, ProjectionSpec, PropagatorSpec, ReadInAttentionSpec,
    ReadInSpec, ReadOutSpec, SkmdpaSpec,
};
use nac_modules::attention::KernelConfig;
use reader::Reader;

/// What a table of the reference describes, by its class.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Imported {
    /// `FC`, `ModFC`, `WModFC`.
    Projection(ProjectionSpec),
    /// `ModFFN`.
    Ffn(ModFfnSpec),
    /// `DotProductKernel`.
    Kernel(KernelConfig),
    /// `KernelModulatedLatentAttention`.
    Attention(SkmdpaSpec),
    /// `ReadInAttention`.
    ReadInAttention(ReadInAttentionSpec),
    /// `AttentiveReadIn`, `ProjectionReadIn`.
    ReadIn(ReadInSpec),
    /// `Propagator`.
    Propagator(PropagatorSpec),
    /// `ReadOut`.
    ReadOut(ReadOutSpec),
    /// `Latents`.
    Latents(ImportedLatents),
    /// `Latents+LatentSeeder`.
    SeededLatents(ImportedSeededLatents),
    /// `ConvNeXtImageTokenizer`.
    Tokenizer(ImportedTokenizer),
    /// `PositionalGrid`.
    Grid(ImportedGrid),
    /// `OutputLatentPooling`, `FirstSlotAsLogits`.
    Head(HeadSpec),
    /// `LatentGraph`.
    Circuit(Box<CircuitSpec>),
    /// `PerceiverIO` that is no classifier of images.
    PerceiverIo(ImportedPerceiverIo),
    /// `NeuralCompiler`, `PerceiverIO`.
    Model(Box<ImportedModel>),
}

/// Reads a table with its class under `cls`.
///
/// # Errors
/// An option has no counterpart, a wrong type, or is missing; its path is named.
pub fn import(table: &Value) -> Result<Imported, ReferenceError> {
    let mut r = Reader::new("", table)?;
    let Some(class) = r.word("cls")? else {
        return Err(ReferenceError::Missing { path: "cls".into() });
    };
    match class {
        "FC" | "ModFC" | "WModFC" => layers::projection(r, class).map(Imported::Projection),
        "ModFFN" => layers::ffn(r).map(Imported::Ffn),
        "DotProductKernel" => attention::kernel(r).map(Imported::Kernel),
        "KernelModulatedLatentAttention" => attention::attention(r).map(Imported::Attention),
        "ReadInAttention" => attention::read_in_attention(r).map(Imported::ReadInAttention),
        "AttentiveReadIn" | "ProjectionReadIn" => blocks::read_in(r, class).map(Imported::ReadIn),
        "Propagator" => blocks::propagator(r).map(Imported::Propagator),
        "ReadOut" => blocks::read_out(r).map(Imported::ReadOut),
        "Latents" => latents::latents(r).map(Imported::Latents),
        "Latents+LatentSeeder" => latents::seeded_latents(r).map(Imported::SeededLatents),
        "ConvNeXtImageTokenizer" => tokenizer::tokenizer(r).map(Imported::Tokenizer),
        "PositionalGrid" => tokenizer::grid(r).map(Imported::Grid),
        "OutputLatentPooling" | "FirstSlotAsLogits" => model::head(r, class).map(Imported::Head),
        "LatentGraph" => circuit::circuit(r).map(|c| Imported::Circuit(Box::new(c))),
        "NeuralCompiler" => model::neural_compiler(r).map(|m| Imported::Model(Box::new(m))),
        "PerceiverIO" if model::classifies_images(table) => {
            model::perceiver_io(r).map(|m| Imported::Model(Box::new(m)))
        }
        "PerceiverIO" => model::bare_perceiver_io(r).map(Imported::PerceiverIo),
        _ => Err(r.unsupported(
            "cls",
            &Value::from(class),
            "a class this import does not know",
        )),
    }
}

/// Reads the arguments of a `NeuralCompiler`, such as the `model` table of a training configuration. A `cls`
/// may be there; it is not looked at.
///
/// # Errors
/// As [`import`].
pub fn import_neural_compiler(table: &Value) -> Result<ImportedModel, ReferenceError> {
    model::neural_compiler(Reader::new("", table)?)
}

/// Reads the arguments of a `PerceiverIO`. A `cls` may be there; it is not looked at.
///
/// # Errors
/// As [`import`].
pub fn import_perceiver_io(table: &Value) -> Result<ImportedModel, ReferenceError> {
    model::perceiver_io(Reader::new("", table)?)
}
