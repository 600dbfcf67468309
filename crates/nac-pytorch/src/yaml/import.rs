//! From a YAML file of the reference to the `[model]` table of ours.

use std::fs;
use std::path::{Path, PathBuf};

use crate::settings::{ImportedModel, import_neural_compiler, import_perceiver_io};
use nac_modules::model::{ModelConfig, ModelKind};
use serde::Serialize;
use serde_json::Value;
use tch::{Device, Kind};

use crate::weights::{Result, StateDict, WeightsError};
use nac_train::TrainError;
use nac_train::config::SignatureFits;

/// A model as a settings file of the reference describes it.
#[derive(Debug, Clone, PartialEq)]
pub struct ReferenceConfig {
    /// The model.
    pub model: ImportedModel,
    /// Height and width of its images in pixels.
    pub image_size: [usize; 2],
    /// Tables of the file that are not part of the model and were left out.
    pub left_out: Vec<String>,
    source: PathBuf,
}

/// Reads a settings file of the reference: one with the model under `model: {name, kwargs}`, or the model's own
/// table with its class under `cls`.
///
/// # Errors
/// The file cannot be read, is no YAML, has no model, or an option has no counterpart.
pub fn import_config(path: &Path) -> Result<ReferenceConfig> {
    let text = fs::read_to_string(path).map_err(TrainError::io("read", path))?;
    let fail = |reason: String| WeightsError::File {
        path: path.to_owned(),
        reason,
    };
    let table: Value = serde_saphyr::from_str(&text).map_err(|error| fail(error.to_string()))?;
    let text_at = |value: &Value, key: &str| value.get(key)?.as_str().map(str::to_owned);
    let (class, arguments, prefix) = match table.get("model") {
        Some(model) => (
            text_at(model, "name"),
            model.get("kwargs"),
            "model.kwargs: ",
        ),
        None => (text_at(&table, "cls"), Some(&table), ""),
    };
    let (Some(class), Some(arguments)) = (class, arguments) else {
        return Err(fail(
            "no model in it: expected `model` with `name` and `kwargs`, or a table with `cls`"
                .into(),
        ));
    };
    let model = match class.as_str() {
        "NeuralCompiler" => import_neural_compiler(arguments),
        "PerceiverIO" => import_perceiver_io(arguments),
        other => {
            return Err(fail(format!(
                "model `{other}` is unknown; known: NeuralCompiler, PerceiverIO"
            )));
        }
    };
    let model = model.map_err(|error| fail(format!("{prefix}{error}")))?;
    let others = table.as_object().into_iter().flatten();
    let left_out = if prefix.is_empty() {
        Vec::new()
    } else {
        others
            .map(|(key, _)| key.clone())
            .filter(|key| key != "model")
            .collect()
    };
    Ok(ReferenceConfig {
        image_size: image_size(&table, &model),
        model,
        left_out,
        source: path.to_owned(),
    })
}

/// What the data are resized to; else the size for which the positional grid has a cell for each token.
fn image_size(table: &Value, model: &ImportedModel) -> [usize; 2] {
    let stated = table
        .pointer("/data/dataset/kwargs/input_size")
        .and_then(Value::as_u64)
        .and_then(|size| usize::try_from(size).ok());
    if let Some(size) = stated {
        return [size, size];
    }
    let convnext = &model.config.convnext;
    let cell = super::export::pixels_per_token(convnext);
    let [height, width] = convnext.grid_size.unwrap_or([8, 8]);
    [height.saturating_mul(cell), width.saturating_mul(cell)]
}

impl ReferenceConfig {
    /// Loads weights into the model that the settings describe.
    ///
    /// # Errors
    /// The model cannot be built, or
    /// [`ModuleError::Weights`](nac_modules::ModuleError::Weights) with all names that do not fit.
    pub fn check(&self, source: &Path, weights: &StateDict) -> Result<()> {
        let store = nac_modules::params::ParamStore::sizes_only(Device::Cpu, Kind::Float);
        let [height, width] = self.image_size;
        let mut model = self.model.build(store, height, width)?;
        let source = source.display().to_string();
        Ok(model.params_mut().import(&source, &weights.tensors)?)
    }

    /// The settings as TOML: a `[model]` table under a head that says where it is from and what is not in it.
    ///
    /// # Errors
    /// A setting has no TOML form.
    pub fn to_toml(&self) -> Result<String> {
        #[derive(Serialize)]
        struct Only<'a> {
            model: &'a ModelConfig,
            #[serde(skip_serializing_if = "SignatureFits::is_empty")]
            signature_fit: SignatureFits,
        }
        let fail = |reason: String| WeightsError::File {
            path: self.source.clone(),
            reason,
        };
        let config = &self.model.config;
        let mut table = toml::Table::try_from(Only {
            model: config,
            signature_fit: self.signature_fits(),
        })
        .map_err(|error| fail(error.to_string()))?;
        // Tables that this model does not look at.
        let body: &[&str] = match config.kind {
            ModelKind::Nac => &["perceiver_io", "stem_only"],
            ModelKind::PerceiverIo => &["circuit", "stem_only"],
            ModelKind::StemOnly => &["circuit", "perceiver_io"],
        };
        let tokenizers = [
            "conv_stem",
            "patches",
            "voxels",
            "embedding",
            "features",
            "points",
        ];
        let unused = tokenizers.iter().chain(body);
        if let Some(toml::Value::Table(model)) = table.get_mut("model") {
            unused.for_each(|key| {
                model.remove(*key);
            });
        }
        let text = toml::to_string_pretty(&table).map_err(|error| fail(error.to_string()))?;
        Ok(format!("{}\n{text}", self.head()))
    }

    /// The graphs that initial signatures are fitted to.
    fn signature_fits(&self) -> SignatureFits {
        let of = |latents: &str| {
            let graphs = &self.model.initial_graphs;
            let found = graphs.iter().find(|graph| graph.latents == latents);
            found.map(|graph| graph.fit)
        };
        SignatureFits {
            read_in: of("input_latents"),
            processors: of("mediator_latents"),
            read_out: of("output_latents"),
        }
    }

    fn head(&self) -> String {
        let name = self.source.file_name().unwrap_or_default();
        let name = name.to_string_lossy().replace(char::is_control, " ");
        let [height, width] = self.image_size;
        let mut lines = vec![
            format!("# The model of {name}, a settings file of the reference."),
            format!(
                "# Made for images of {} channels and {height} x {width} pixels, and {} classes.",
                self.model.channels, self.model.classes
            ),
        ];
        if !self.left_out.is_empty() {
            let tables = self.left_out.join(", ");
            lines.push(format!(
                "# Not taken over, see the page \"From PyTorch\" of the book: {}.",
                tables.escape_debug()
            ));
        }
        lines.join("\n") + "\n"
    }
}
