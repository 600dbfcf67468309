//! From the `[model]` table of ours to YAML for the reference.

use std::path::Path;

use crate::settings::{CAPACITY_PRESETS, import_neural_compiler, import_perceiver_io};
use nac_core::model::spec::{BodySpec, CircuitSpec, HeadSpec};
use nac_modules::model::{ImageTokenizer, ModelConfig, ModelKind};
use nac_modules::tokenizer::ConvNextConfig;
use serde_json::{Map, Value, json};

use super::circuit::circuit;
use super::lost::lost;
use crate::weights::{Result, WeightsError};
use nac_data::DataDirs;
use nac_train::TrainError;
use nac_train::config::{BaselineMatch, ValidConfig};

/// Side in pixels of what one token stands for.
pub(super) fn pixels_per_token(config: &ConvNextConfig) -> usize {
    let halvings = u32::try_from(config.depths.len().saturating_sub(1)).unwrap_or(u32::MAX);
    let factor = 2_usize.checked_pow(halvings).unwrap_or(usize::MAX);
    config.stem_patch.saturating_mul(factor)
}

/// The model of a run's settings as YAML that the reference reads: `model: {name, kwargs}`. `source` is what
/// errors call the settings.
///
/// # Errors
/// [`WeightsError::NotExpressible`] with every setting that the reference has no option for.
pub fn export_config(source: &Path, config: &ValidConfig) -> Result<String> {
    let dirs = DataDirs::discover(None).map_err(TrainError::from)?;
    let info = nac_data::describe(&config.data, &dirs).map_err(TrainError::from)?;
    let refuse = |settings: Vec<String>| WeightsError::NotExpressible {
        path: source.to_owned(),
        settings,
    };
    let Some([channels, height, width]) = info.inputs.single_image() else {
        let what = format!("data.name = {} (the reference reads images)", info.name);
        return Err(refuse(vec![what]));
    };
    let known = [ImageTokenizer::Convnext, ImageTokenizer::Pixels];
    if !known.contains(&config.model.image_tokenizer) {
        return Err(refuse(vec!["model.image_tokenizer".into()]));
    }
    let matched = config.baseline.matching != BaselineMatch::None;
    if matched && config.model.kind == ModelKind::PerceiverIo {
        return Err(refuse(vec!["baseline.match".into()]));
    }
    let (mut model, outputs) = (config.model.clone(), info.output.width());
    if model.image_tokenizer == ImageTokenizer::Convnext && model.convnext.grid_dim > 0 {
        let cell = pixels_per_token(&model.convnext).max(1);
        let cells = [height / cell, width / cell];
        model.convnext.grid_size.get_or_insert(cells);
    }
    let model = &model;
    let resolve = |model: &ModelConfig| {
        let spec = model.resolve(&info.inputs, outputs);
        spec.map_err(|error| refuse(vec![error.to_string()]))
    };
    let spec = resolve(model)?;
    let ends = (&model.convnext, channels, outputs);
    let (name, arguments, back) = match &spec.body {
        BodySpec::Nac(circuit) => {
            let arguments = neural_compiler(model, circuit, ends);
            let back = import_neural_compiler(&arguments);
            ("NeuralCompiler", arguments, back)
        }
        BodySpec::PerceiverIo(_) => {
            let arguments = perceiver_io(model, ends);
            let back = import_perceiver_io(&arguments);
            ("PerceiverIO", arguments, back)
        }
        BodySpec::StemOnly(_) => return Err(refuse(vec!["model.kind = stem-only".into()])),
    };
    let back = back.map_err(|error| refuse(vec![error.to_string()]))?;
    let lost = lost(&spec, &resolve(&back.config)?);
    if !lost.is_empty() {
        return Err(refuse(lost));
    }
    let table = json!({"model": {"name": name, "kwargs": arguments}});
    serde_saphyr::to_string(&table).map_err(|error| WeightsError::File {
        path: source.to_owned(),
        reason: error.to_string(),
    })
}

/// Tokenizer of images, channels and outputs.
type Ends<'a> = (&'a ConvNextConfig, usize, usize);

fn neural_compiler(
    model: &ModelConfig,
    spec: &CircuitSpec,
    (tokenizer, channels, outputs): Ends<'_>,
) -> Value {
    let state_dim = spec.read_in.ffn.norm.dim;
    let (head, head_arguments) = head(&spec.head);
    json!({
        "input_dim": channels,
        "output_dim": outputs,
        "state_dim": state_dim,
        "input_tokenizer_type": match model.image_tokenizer {
            ImageTokenizer::Convnext => "ConvNeXtImageTokenizer",
            _ => "pixels",
        },
        "input_tokenizer_kwargs": convnext(tokenizer, state_dim),
        "latent_graph_type": "LatentGraph",
        "latent_graph_kwargs": circuit(spec),
        "output_tokenizer_type": head,
        "output_tokenizer_kwargs": head_arguments,
        "simplified_interface": true,
    })
}

fn perceiver_io(model: &ModelConfig, (tokenizer, channels, outputs): Ends<'_>) -> Value {
    let config = &model.perceiver_io;
    let pixels = model.image_tokenizer == ImageTokenizer::Pixels;
    let mut table = json!({
        "as_classifier": true,
        "dim": channels,
        "logits_dim": outputs,
        "depth": config.depth,
        "num_latents": config.latents,
        "latent_dim": config.latent_dim,
        "queries_dim": config.query_dim(),
        "cross_heads": config.cross_heads,
        "latent_heads": config.latent_heads,
        "latent_dim_head": config.head_dim,
        "cross_dim_head": config.cross_head_dim(),
        "weight_tie_layers": config.weight_tie_layers,
        "decoder_ff": config.decoder_ffn,
        "ffn_mult": config.ffn_multiplier,
        "from_bchw": pixels,
        "use_tokenizer": !pixels,
    });
    if !pixels {
        table["tokenizer_kwargs"] = convnext(tokenizer, config.latent_dim);
    }
    table
}

/// Depths and widths by a preset and the width of the last stage that there could be, or one by one.
fn convnext(config: &ConvNextConfig, width: usize) -> Value {
    let mut table = Map::new();
    let mut inner = Map::new();
    let stages = config.depths.len();
    let preset = CAPACITY_PRESETS
        .iter()
        .find(|(_, depths)| depths.starts_with(&config.depths));
    match preset {
        Some((name, _)) => table.insert("capacity_preset".into(), json!(name)),
        None => inner.insert("depths".into(), json!(config.depths)),
    };
    table.insert("num_stages".into(), json!(stages));
    let first = config.dims.first().copied().unwrap_or(0);
    let whole = first.saturating_mul(4);
    if ![first, whole / 2, whole].starts_with(&config.dims) {
        inner.insert("dims".into(), json!(config.dims));
    } else if whole != width {
        table.insert("repr_dim".into(), json!(whole));
    }
    if config.layer_scale != ConvNextConfig::default().layer_scale {
        inner.insert("layer_scale_init_value".into(), json!(config.layer_scale));
    }
    if !inner.is_empty() {
        table.insert("convnext_kwargs".into(), Value::Object(inner));
    }
    if config.grid_dim > 0 {
        let grid = json!({"dim": config.grid_dim, "grid_size": config.grid_size});
        table.insert("positional_grid_kwargs".into(), grid);
    }
    Value::Object(table)
}

fn head(spec: &HeadSpec) -> (&'static str, Value) {
    match spec {
        HeadSpec::FirstSlot => ("FirstSlotAsLogits", Value::Null),
        HeadSpec::ConfidencePooling(head) => {
            let mut arguments = json!({"softmax_type": head.softmax});
            if head.temperature != 1.0 {
                arguments["softmax_temperature"] = json!(head.temperature);
            }
            ("OutputLatentPooling", arguments)
        }
    }
}
