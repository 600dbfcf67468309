//! The model of a run's last checkpoint.

use std::path::Path;

use nac_core::model::ModelFile;
use nac_data::DataDirs;
use nac_engine::ModelWeights;
use nac_modules::params::TensorFile;

use super::{RunFolder, model_file};
use crate::checkpoint::Checkpoint;
use crate::config::ValidConfig;
use crate::error::Result;

/// Settings and weights of the last checkpoint of the run in `folder`, as engines take them. The data need not be there.
///
/// # Errors
/// The folder holds no run or no checkpoint, or they do not fit each other.
pub fn trained_model(folder: &Path) -> Result<(ModelFile, ModelWeights)> {
    let folder = RunFolder::new(folder.to_owned());
    let config = folder.config()?.check()?;
    let last = folder.last_checkpoint()?;
    let file = trained_file(&config, &last)?;
    Ok((file, weights(last)?))
}

/// Settings of a checkpoint's model. Checkpoints that do not hold the description of their data are completed by what
/// their data set says.
pub(super) fn trained_file(config: &ValidConfig, last: &Checkpoint) -> Result<ModelFile> {
    match &last.data {
        Some(info) => model_file(config, info),
        None => {
            let info = nac_data::describe(&config.data, &DataDirs::discover(None)?)?;
            model_file(config, &info)
        }
    }
}

/// Weights of a checkpoint.
pub(super) fn weights(last: Checkpoint) -> Result<ModelWeights> {
    let content = TensorFile {
        tensors: last.model,
        ..TensorFile::default()
    };
    Ok(ModelWeights::from_bytes(&content.to_bytes()?)?)
}
