//! Do weights fit the model of a run's settings? The data need not be there.

use std::path::Path;

use nac_modules::model::Model;
use tch::Device;

use super::error::Result;
use super::read::StateDict;
use nac_data::DataDirs;
use nac_train::TrainError;
use nac_train::config::ValidConfig;
use nac_train::run::build_model;

/// Builds the model of the settings and loads the weights into it.
///
/// # Errors
/// [`ModuleError::Weights`](nac_modules::ModuleError::Weights) with all missing, unexpected and mis-shaped names
/// together; or the model cannot be built.
pub fn check(config: &ValidConfig, source: &Path, weights: &StateDict) -> Result<Box<dyn Model>> {
    let dirs = DataDirs::discover(None).map_err(TrainError::from)?;
    let info = nac_data::describe(&config.data, &dirs).map_err(TrainError::from)?;
    let mut model = build_model(config, &info, Device::Cpu)?;
    let source = source.display().to_string();
    model.params_mut().import(&source, &weights.tensors)?;
    Ok(model)
}
