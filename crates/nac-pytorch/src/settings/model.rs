//! Whole models and heads: the reference's `NeuralCompiler`, `PerceiverIO`, `OutputLatentPooling` and
//! `FirstSlotAsLogits`.

use serde_json::{Value, json};

use super::circuit::circuit_settings;
use super::error::ReferenceError;
use super::latents::InitialGraph;
use super::reader::Reader;
use super::tokenizer::tokenizer_settings;
use nac_core::model::spec::HeadSpec;
use nac_modules::baseline::PerceiverIoConfig;
use nac_modules::head::{HeadConfig, HeadKind, PoolingSoftmax};
use nac_modules::model::{
    ImageTokenizer, InputSpec, Model, ModelConfig, ModelKind, OutputSpec, build_model,
};
use nac_modules::params::ParamStore;
use nac_modules::tokenizer::ConvNextConfig;

type Result<T> = std::result::Result<T, ReferenceError>;

/// A whole model on images.
#[derive(Debug, Clone, PartialEq)]
pub struct ImportedModel {
    /// The settings.
    pub config: ModelConfig,
    /// Channels of images.
    pub channels: usize,
    /// Number of classes.
    pub classes: usize,
    /// Graphs that initial signatures are to be fitted to.
    pub initial_graphs: Vec<InitialGraph>,
}

impl ImportedModel {
    /// Builds the model in `store` for images of this height and width in pixels.
    ///
    /// # Errors
    /// A setting is out of range or does not suit the images.
    pub fn build(
        &self,
        store: ParamStore,
        height: usize,
        width: usize,
    ) -> nac_modules::Result<Box<dyn Model>> {
        let input = InputSpec::image(self.channels, height, width);
        build_model(
            store,
            &self.config,
            &input,
            &OutputSpec::classes(self.classes),
        )
    }

    /// The parts of a Perceiver IO; `None` for another model.
    pub(crate) fn perceiver_io(&self) -> Option<ImportedPerceiverIo> {
        let config = &self.config;
        let source = match config.image_tokenizer {
            ImageTokenizer::Convnext => PerceiverTokens::ConvNext(config.convnext.clone()),
            ImageTokenizer::Pixels => PerceiverTokens::Pixels,
            _ => return None,
        };
        (config.kind == ModelKind::PerceiverIo).then(|| ImportedPerceiverIo {
            config: config.perceiver_io.clone(),
            source,
            dim: self.channels,
            outputs: Some(self.classes),
            classifier: true,
        })
    }
}

/// Where the tokens of a `PerceiverIO` come from.
#[derive(Debug, Clone, PartialEq)]
pub enum PerceiverTokens {
    /// They are the input.
    Given,
    /// `from_bchw`: one for each pixel.
    Pixels,
    /// `use_tokenizer`.
    ConvNext(ConvNextConfig),
}

/// A `PerceiverIO` that is no classifier of images: its queries are given, its outputs need not be class scores.
#[derive(Debug, Clone, PartialEq)]
pub struct ImportedPerceiverIo {
    /// Sizes.
    pub config: PerceiverIoConfig,
    /// The tokens.
    pub source: PerceiverTokens,
    /// `dim`: of the input's items, or channels.
    pub dim: usize,
    /// `logits_dim`; without it the answers are as wide as the queries.
    pub outputs: Option<usize>,
    /// `as_classifier`: whether it has a query of its own and gives the first answer alone.
    pub classifier: bool,
}

/// Arguments of a head class. The reference draws Gumbel noise in evaluation too, so the import asks for it.
fn head_settings(r: &mut Reader<'_>, class: &str, key: &str) -> Result<HeadConfig> {
    match class {
        "OutputLatentPooling" => {
            let softmax = match r.word("softmax_type")? {
                Some("vanilla") => PoolingSoftmax::Vanilla,
                None | Some("gumbel") => PoolingSoftmax::Gumbel,
                Some("gumbel-hard") => PoolingSoftmax::GumbelHard,
                Some(other) => {
                    let reason = "must be vanilla, gumbel or gumbel-hard";
                    return Err(r.unsupported("softmax_type", &json!(other), reason));
                }
            };
            Ok(HeadConfig {
                kind: HeadKind::ConfidencePooling,
                softmax,
                temperature: r.number("softmax_temperature", 1.0)?,
                noise_in_evaluation: softmax != PoolingSoftmax::Vanilla,
            })
        }
        "FirstSlotAsLogits" => Ok(HeadConfig {
            kind: HeadKind::FirstSlot,
            ..Default::default()
        }),
        other => {
            let reason = "must be OutputLatentPooling or FirstSlotAsLogits";
            Err(r.unsupported(key, &json!(other), reason))
        }
    }
}

pub(super) fn head(mut r: Reader<'_>, class: &str) -> Result<HeadSpec> {
    r.without_effect(&["cls"]);
    let config = head_settings(&mut r, class, "cls")?;
    if config.kind == HeadKind::FirstSlot {
        r.finish()?;
        return Ok(HeadSpec::FirstSlot);
    }
    let (state_dim, classes) = (r.size("state_dim")?, r.size("output_dim")?);
    r.finish()?;
    Ok(config.resolve("", state_dim, classes)?)
}

pub(super) fn neural_compiler(mut r: Reader<'_>) -> Result<ImportedModel> {
    r.without_effect(&["cls", "simplified_interface"]);
    let (channels, classes) = (r.size("input_dim")?, r.size("output_dim")?);
    let state_dim = r.size("state_dim")?;
    match r.word("input_tokenizer_type")? {
        None | Some("ConvNeXtImageTokenizer") => {}
        other => {
            let reason = "must be ConvNeXtImageTokenizer";
            return Err(r.unsupported("input_tokenizer_type", &json!(other), reason));
        }
    }
    match r.word("latent_graph_type")? {
        None | Some("LatentGraph") => {}
        other => {
            return Err(r.unsupported("latent_graph_type", &json!(other), "must be LatentGraph"));
        }
    }
    let mut inner = r.table("input_tokenizer_kwargs")?;
    let convnext = tokenizer_settings(&mut inner, Some(state_dim))?;
    inner.finish()?;
    let (mut circuit, initial_graphs) =
        circuit_settings(r.table("latent_graph_kwargs")?, state_dim)?;
    let class = r
        .word("output_tokenizer_type")?
        .unwrap_or("FirstSlotAsLogits");
    let mut inner = r.table("output_tokenizer_kwargs")?;
    circuit.head = head_settings(&mut inner, class, "output_tokenizer_type")?;
    inner.finish()?;
    r.finish()?;
    Ok(ImportedModel {
        config: ModelConfig {
            kind: ModelKind::Nac,
            convnext,
            circuit,
            ..Default::default()
        },
        channels,
        classes,
        initial_graphs,
    })
}

/// Whether a table of a `PerceiverIO` describes a classifier of images.
pub(super) fn classifies_images(table: &Value) -> bool {
    let is = |key: &str| table.get(key) == Some(&json!(true));
    let outputs = table.get("logits_dim").is_some_and(|v| !v.is_null());
    is("as_classifier") && (is("use_tokenizer") || is("from_bchw")) && outputs
}

/// A `PerceiverIO` that is no classifier of images.
pub(super) fn bare_perceiver_io(mut r: Reader<'_>) -> Result<ImportedPerceiverIo> {
    r.without_effect(&["cls"]);
    let classifier = r.flag("as_classifier", false)?;
    let outputs = match r.raw("logits_dim") {
        None | Some(Value::Null) => None,
        Some(_) => Some(r.size("logits_dim")?),
    };
    let mut inner = r.table("tokenizer_kwargs")?;
    let config = perceiver_io_settings(&mut r)?;
    let source = if r.flag("use_tokenizer", false)? {
        let width = Some(config.latent_dim);
        PerceiverTokens::ConvNext(tokenizer_settings(&mut inner, width)?)
    } else if r.flag("from_bchw", false)? {
        PerceiverTokens::Pixels
    } else {
        PerceiverTokens::Given
    };
    inner.finish()?;
    let dim = r.size("dim")?;
    r.finish()?;
    Ok(ImportedPerceiverIo {
        config,
        source,
        dim,
        outputs,
        classifier,
    })
}

/// Sizes of a `PerceiverIO`.
fn perceiver_io_settings(r: &mut Reader<'_>) -> Result<PerceiverIoConfig> {
    let latent_dim = r.optional_size("latent_dim")?.unwrap_or(512);
    let query_dim = r.size("queries_dim")?;
    let head_dim = r.optional_size("latent_dim_head")?.unwrap_or(64);
    let cross_head_dim = r.optional_size("cross_dim_head")?.unwrap_or(64);
    Ok(PerceiverIoConfig {
        depth: r.size("depth")?,
        latents: r.optional_size("num_latents")?.unwrap_or(512),
        latent_dim,
        query_dim: (query_dim != latent_dim).then_some(query_dim),
        cross_heads: r.optional_size("cross_heads")?.unwrap_or(1),
        latent_heads: r.optional_size("latent_heads")?.unwrap_or(8),
        head_dim,
        cross_head_dim: (cross_head_dim != head_dim).then_some(cross_head_dim),
        ffn_multiplier: r.optional_size("ffn_mult")?.unwrap_or(4),
        weight_tie_layers: r.flag("weight_tie_layers", false)?,
        decoder_ffn: r.flag("decoder_ff", false)?,
    })
}

/// A `PerceiverIO` that classifies images.
pub(super) fn perceiver_io(mut r: Reader<'_>) -> Result<ImportedModel> {
    r.without_effect(&["cls"]);
    let classifier = r.flag("as_classifier", false)?;
    if !classifier {
        let reason = "a model here is a classifier";
        return Err(r.unsupported("as_classifier", &json!(false), reason));
    }
    let perceiver_io = perceiver_io_settings(&mut r)?;
    let latent_dim = perceiver_io.latent_dim;
    let mut config = ModelConfig {
        kind: ModelKind::PerceiverIo,
        perceiver_io,
        ..Default::default()
    };
    let tokenized = r.flag("use_tokenizer", false)?;
    let pixels = r.flag("from_bchw", false)?;
    let mut inner = r.table("tokenizer_kwargs")?;
    match (tokenized, pixels) {
        (true, false) => config.convnext = tokenizer_settings(&mut inner, Some(latent_dim))?,
        (false, true) => config.image_tokenizer = ImageTokenizer::Pixels,
        _ => {
            let reason = "either from_bchw or use_tokenizer must say how images become tokens";
            return Err(r.unsupported("from_bchw", &json!(pixels), reason));
        }
    }
    inner.finish()?;
    let (channels, classes) = (r.size("dim")?, r.size("logits_dim")?);
    r.finish()?;
    Ok(ImportedModel {
        config,
        channels,
        classes,
        initial_graphs: Vec::new(),
    })
}
