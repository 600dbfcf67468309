//! Whole models, tokenizers and heads: the reference's `NeuralCompiler`, `PerceiverIO`,
//! `ConvNeXtImageTokenizer`, `PositionalGrid`, `OutputLatentPooling` and `FirstSlotAsLogits`.

use serde_json::{Value, json};
use tch::Device;

use super::circuit::circuit_settings;
use super::error::ReferenceError;
use super::latents::InitialGraph;
use super::reader::Reader;
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

    /// Number of trained scalars for images of this height and width.
    ///
    /// # Errors
    /// A setting is out of range or does not suit the images.
    pub fn parameter_count(&self, height: usize, width: usize) -> nac_modules::Result<usize> {
        let store = ParamStore::sizes_only(Device::Cpu, tch::Kind::Float);
        let model = self.build(store, height, width)?;
        Ok(model.params().parameter_count())
    }
}

/// A `ConvNeXtImageTokenizer` of its own.
#[derive(Debug, Clone, PartialEq)]
pub struct ImportedTokenizer {
    /// `input_dim`.
    pub channels: usize,
    /// The other settings.
    pub config: ConvNextConfig,
}

/// A `PositionalGrid` of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImportedGrid {
    /// `dim`.
    pub dim: usize,
    /// `grid_size`, height and width.
    pub size: [usize; 2],
    /// `batch_size` of the recording.
    pub batch_size: usize,
}

/// A head of its own.
#[derive(Debug, Clone, PartialEq)]
pub struct ImportedHead {
    /// `state_dim`; `None` for `FirstSlotAsLogits`, which has no sizes.
    pub state_dim: Option<usize>,
    /// `output_dim`; `None` for `FirstSlotAsLogits`.
    pub classes: Option<usize>,
    /// The other settings.
    pub config: HeadConfig,
}

/// Arguments of `ConvNeXtImageTokenizer` besides `input_dim`.
fn tokenizer_settings(r: &mut Reader<'_>, width: Option<usize>) -> Result<ConvNextConfig> {
    let Some(width) = r.optional_size("repr_dim")?.or(width) else {
        return Err(ReferenceError::Missing {
            path: r.path("repr_dim"),
        });
    };
    let preset = r.word("capacity_preset")?;
    let first_stages = match preset {
        Some("atto") => [0, 0, 0],
        Some("femto") => [1, 0, 0],
        Some("nano") => [1, 1, 1],
        other => {
            let reason = "must be atto, femto or nano";
            return Err(r.unsupported("capacity_preset", &json!(other), reason));
        }
    };
    let stages = r.optional_size("num_stages")?.unwrap_or(3);
    if !(1..=3).contains(&stages) {
        return Err(r.unsupported("num_stages", &json!(stages), "must be 1, 2 or 3"));
    }
    if width % 4 != 0 {
        let reason = "must be divisible by 4, the stages are a quarter, half and all of it wide";
        return Err(r.unsupported("repr_dim", &json!(width), reason));
    }
    let mut config = ConvNextConfig {
        depths: first_stages[..stages].to_vec(),
        dims: [width / 4, width / 2, width][..stages].to_vec(),
        grid_dim: 0,
        ..Default::default()
    };
    if r.raw("positional_grid_kwargs")
        .is_some_and(|v| !v.is_null())
    {
        let mut inner = r.table("positional_grid_kwargs")?;
        config.grid_dim = inner.size("dim")?;
        config.grid_size = Some(grid_size(&mut inner)?);
        inner.finish()?;
    }
    Ok(config)
}

/// `grid_size`, two numbers or one for both.
fn grid_size(r: &mut Reader<'_>) -> Result<[usize; 2]> {
    let value = r.raw("grid_size").unwrap_or(&Value::Null);
    let number = |v: &Value| v.as_u64().and_then(|n| usize::try_from(n).ok());
    let size = match value {
        Value::Array(entries) if entries.len() == 2 => number(&entries[0]).zip(number(&entries[1])),
        one => number(one).map(|n| (n, n)),
    };
    let (height, width) = size.ok_or_else(|| ReferenceError::Type {
        path: r.path("grid_size"),
        value: value.to_string(),
        expected: "height and width",
    })?;
    Ok([height, width])
}

pub(super) fn tokenizer(mut r: Reader<'_>) -> Result<ImportedTokenizer> {
    r.without_effect(&["cls"]);
    let channels = r.optional_size("input_dim")?.unwrap_or(3);
    let config = tokenizer_settings(&mut r, None)?;
    // What follows from the preset may stand beside it, but may not contradict it.
    let grid = config.grid_dim;
    let tokens = config.dims.last().map(|dim| dim + grid);
    for (key, ours) in [
        ("depths", json!(config.depths)),
        ("dims", json!(config.dims)),
        ("output_dim", json!(tokens)),
    ] {
        r.only(key, &ours, "differs from what the preset gives")?;
    }
    r.finish()?;
    Ok(ImportedTokenizer { channels, config })
}

pub(super) fn grid(mut r: Reader<'_>) -> Result<ImportedGrid> {
    r.without_effect(&["cls"]);
    let grid = ImportedGrid {
        dim: r.size("dim")?,
        size: grid_size(&mut r)?,
        batch_size: r.size("batch_size")?,
    };
    r.finish()?;
    Ok(grid)
}

/// Arguments of a head class. The reference draws Gumbel noise in evaluation too, so the import asks for it.
fn head_settings(r: &mut Reader<'_>, class: &str, key: &str) -> Result<HeadConfig> {
    match class {
        "OutputLatentPooling" => {
            let softmax = match r.word("softmax_type")? {
                None | Some("vanilla") => PoolingSoftmax::Vanilla,
                Some("gumbel") => PoolingSoftmax::Gumbel,
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

pub(super) fn head(mut r: Reader<'_>, class: &str) -> Result<ImportedHead> {
    r.without_effect(&["cls"]);
    let config = head_settings(&mut r, class, "cls")?;
    let (state_dim, classes) = if config.kind == HeadKind::ConfidencePooling {
        (Some(r.size("state_dim")?), Some(r.size("output_dim")?))
    } else {
        (None, None)
    };
    r.finish()?;
    Ok(ImportedHead {
        state_dim,
        classes,
        config,
    })
}

pub(super) fn neural_compiler(mut r: Reader<'_>) -> Result<ImportedModel> {
    r.without_effect(&["cls", "simplified_interface"]);
    let (channels, classes) = (r.size("input_dim")?, r.size("output_dim")?);
    let state_dim = r.size("state_dim")?;
    match r.word("input_tokenizer_type")? {
        Some("ConvNeXtImageTokenizer") => {}
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
    let class = r.word("output_tokenizer_type")?;
    let Some(class) = class else {
        return Err(ReferenceError::Missing {
            path: r.path("output_tokenizer_type"),
        });
    };
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

pub(super) fn perceiver_io(mut r: Reader<'_>) -> Result<ImportedModel> {
    r.without_effect(&["cls"]);
    r.only(
        "as_classifier",
        &json!(true),
        "only classifiers are supported",
    )?;
    let latent_dim = r.size("latent_dim")?;
    let mut config = ModelConfig {
        kind: ModelKind::PerceiverIo,
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
    let query_dim = r.optional_size("queries_dim")?;
    let head_dim = r.optional_size("latent_dim_head")?.unwrap_or(64);
    let cross_head_dim = r.optional_size("cross_dim_head")?.unwrap_or(64);
    config.perceiver_io = PerceiverIoConfig {
        depth: r.size("depth")?,
        latents: r.size("num_latents")?,
        latent_dim,
        query_dim: query_dim.filter(|dim| *dim != latent_dim),
        cross_heads: r.optional_size("cross_heads")?.unwrap_or(1),
        latent_heads: r.optional_size("latent_heads")?.unwrap_or(8),
        head_dim,
        cross_head_dim: (cross_head_dim != head_dim).then_some(cross_head_dim),
        ffn_multiplier: 4,
        weight_tie_layers: r.flag("weight_tie_layers", false)?,
        decoder_ffn: r.flag("decoder_ff", false)?,
    };
    let (channels, classes) = (r.size("dim")?, r.size("logits_dim")?);
    r.finish()?;
    Ok(ImportedModel {
        config,
        channels,
        classes,
        initial_graphs: Vec::new(),
    })
}
