//! From a training run to two files that any engine reads: settings and weights.
//!
//! | file | content |
//! |---|---|
//! | `model.toml` | a [`ModelFile`]: what the model reads and answers, the settings it was built with |
//! | `model.safetensors` | its tensors under the names of the reference's `state_dict`, nothing of the optimizer |

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use nac_core::digest;
use nac_core::model::{ModelFile, Preset};
use nac_modules::ModuleError;
use nac_modules::model::BuildModel;
use nac_modules::params::{ParamStore, TensorFile};
pub use nac_predict::{SETTINGS_FILE, WEIGHTS_FILE};
use tch::{Device, Kind, Tensor};

use super::RunFolder;
use super::trained::trained_file;
use crate::error::{Result, TrainError};
use crate::finite::not_finite;
use crate::storage::{self, refuse_existing};

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    /// File of settings.
    pub settings: PathBuf,
    /// File of weights.
    pub weights: PathBuf,
    /// Number of trained scalars.
    pub parameters: usize,
    /// Training step of the weights, if it is known.
    pub step: Option<u64>,
}

/// Writes the model of a run's last checkpoint to the folder `out`, which is made if needed. The data need not be
/// there.
///
/// # Errors
/// As [`RunFolder::trained`]; [`TrainError::Exists`] if a file is there and `replace` is false; or the
/// folder cannot be written.
pub fn export_run(run: &Path, out: &Path, replace: bool) -> Result<Exported> {
    let folder = RunFolder::new(run.to_owned());
    let (config, last) = folder.trained()?;
    let file = trained_file(&config, &last)?;
    let step = last.state.step;
    let metadata = [
        ("run", config.name.clone()),
        ("revision", folder.revision()?),
        ("step", step.to_string()),
    ];
    let parameters = write_model(&file, &last.source, &last.model, &metadata, out, replace)?;
    Ok(Exported {
        settings: out.join(SETTINGS_FILE),
        weights: out.join(WEIGHTS_FILE),
        parameters,
        step: Some(step),
    })
}

/// Writes a preset and `tensors` by name to the folder `out`; `source` is where they come from, for errors.
///
/// # Errors
/// There is no such preset, or the weights do not fit it; else as [`export_run`].
pub fn export_preset(
    name: &str,
    source: &str,
    tensors: &BTreeMap<String, Tensor>,
    out: &Path,
    replace: bool,
) -> Result<Exported> {
    let preset = Preset::get(name).map_err(ModuleError::from)?;
    let file = preset.file;
    let metadata = [("preset", name.to_owned())];
    let parameters = write_model(&file, source, tensors, &metadata, out, replace)?;
    Ok(Exported {
        settings: out.join(SETTINGS_FILE),
        weights: out.join(WEIGHTS_FILE),
        parameters,
        step: None,
    })
}

/// Checks that `tensors` fit the model and writes both files; gives the number of trained scalars.
fn write_model(
    file: &ModelFile,
    source: &str,
    tensors: &BTreeMap<String, Tensor>,
    metadata: &[(&str, String)],
    out: &Path,
    replace: bool,
) -> Result<usize> {
    let (settings_path, weights_path) = (out.join(SETTINGS_FILE), out.join(WEIGHTS_FILE));
    for path in [&settings_path, &weights_path] {
        refuse_existing(path, replace)?;
    }
    if let Some(name) = not_finite(tensors)? {
        let reason = format!("{source}: holds NaN or infinite values, so the model cannot be used");
        return Err(TrainError::setting("weights", name, reason));
    }
    let mut model = file.build(ParamStore::sizes_only(Device::Cpu, Kind::Float))?;
    model.params_mut().import(source, tensors)?;
    let mut content = TensorFile {
        tensors: model.params().export()?,
        // Other safetensors readers expect this key.
        metadata: [("format".to_owned(), "pt".to_owned())].into(),
    };
    for (key, value) in metadata {
        content.metadata.insert((*key).to_owned(), value.clone());
    }
    let settings = file.to_toml().map_err(ModuleError::from)?;
    fs::create_dir_all(out).map_err(TrainError::io("make the folder", out))?;
    let content = content.to_bytes()?;
    // A kill between the two files must not leave settings beside the weights of another model.
    if settings_path.exists() {
        fs::remove_file(&settings_path).map_err(TrainError::io("replace", &settings_path))?;
    }
    storage::write_atomically(&weights_path, &content)?;
    storage::write_atomically(&settings_path, digest::seal_toml(&settings).as_bytes())?;
    Ok(model.params().parameter_count())
}
