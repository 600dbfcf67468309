//! Do weights fit the model of a run's settings? The data need not be there.

use std::path::Path;

use nac_data::{DataConfig, DataDirs, DatasetInfo, InputKind, Silent, open_with_progress};
use nac_modules::model::Model;
use tch::Device;

use super::error::Result;
use super::read::Weights;
use crate::config::ValidConfig;
use crate::error::TrainError;
use crate::run::build_model;

/// Builds the model of the settings and loads the weights into it.
///
/// # Errors
/// [`ModuleError::Weights`](nac_modules::ModuleError::Weights) with all missing, unexpected and mis-shaped names
/// together; or the model cannot be built.
pub fn check(config: &ValidConfig, source: &Path, weights: &Weights) -> Result<Box<dyn Model>> {
    let mut model = build_model(config, &describe_data(&config.data)?, Device::Cpu)?;
    let source = source.display().to_string();
    model.params_mut().import(&source, &weights.tensors)?;
    Ok(model)
}

/// What a model needs to know of a data set, without its files.
pub(crate) fn describe_data(config: &DataConfig) -> Result<DatasetInfo> {
    if config.name == "cifar10" {
        let image = InputKind::Image {
            channels: 3,
            height: 32,
            width: 32,
            mean: vec![0.5; 3],
            std: vec![0.25; 3],
        };
        return Ok(DatasetInfo {
            name: config.name.clone(),
            classes: 10,
            inputs: vec![("image".into(), image)],
        });
    }
    // The description of generated data depends on their settings and not on their number.
    let mut small = config.clone();
    let listops = &mut small.listops;
    (listops.train, listops.validation, listops.test) = (1, 1, 1);
    let cache =
        tempfile::tempdir().map_err(TrainError::io("make the folder", &std::env::temp_dir()))?;
    let dirs = DataDirs::new(None, None, cache.path().to_owned());
    let splits = open_with_progress(&small, &dirs, 0, &Silent).map_err(TrainError::from)?;
    Ok(splits.train.info().clone())
}
