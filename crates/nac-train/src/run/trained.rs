//! The model of a run's last checkpoint.

use std::path::{Path, PathBuf};

use nac_core::model::ModelFile;
use nac_data::DatasetInfo;
use nac_engine::ModelWeights;
use tch::Kind;

use super::{RunFolder, model_file};
use crate::checkpoint::Checkpoint;
use crate::config::ValidConfig;
use crate::error::{Result, TrainError};

/// Settings and weights of the last checkpoint of the run in `folder`, as engines take them. The data need not be there.
///
/// # Errors
/// As [`RunFolder::trained`].
pub fn trained_model(folder: &Path) -> Result<(ModelFile, ModelWeights)> {
    let (config, last) = RunFolder::new(folder.to_owned()).trained()?;
    Ok((trained_file(&config, &last)?, weights(&last)?))
}

/// Settings of a checkpoint's model.
pub(crate) fn trained_file(config: &ValidConfig, last: &Checkpoint) -> Result<ModelFile> {
    model_file(config, description(last)?)
}

/// What the model of a checkpoint reads and answers.
pub(super) fn description(last: &Checkpoint) -> Result<&DatasetInfo> {
    last.data.as_ref().ok_or_else(|| TrainError::Checkpoint {
        path: PathBuf::from(&last.source),
        reason: "it does not say what the model reads and answers".into(),
        whole: None,
    })
}

/// Weights of a checkpoint in single precision; tensors of integers are left out.
pub(crate) fn weights(last: &Checkpoint) -> Result<ModelWeights> {
    let mut weights = ModelWeights::new();
    for (name, tensor) in &last.model {
        if !tensor.is_floating_point() {
            continue;
        }
        let sizes = tensor.size().into_iter();
        let shape: Vec<usize> = sizes
            .map(|size| usize::try_from(size).unwrap_or(0))
            .collect();
        let values = tensor.f_to_kind(Kind::Float)?.f_reshape([-1])?;
        weights.insert(name, &shape, Vec::try_from(values)?)?;
    }
    Ok(weights)
}
