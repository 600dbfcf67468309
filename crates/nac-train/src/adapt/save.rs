//! Adapted models as folders of runs, which `nac eval`, `nac export` and `nac predict` read.

use std::path::Path;

use nac_core::digest;
use nac_core::model::ModelFile;
use nac_data::{DataConfig, DatasetInfo};
use nac_modules::model::Model;

use super::few_shot::FewShot;
use crate::checkpoint::{Checkpoint, CheckpointStore as _, FolderStore, TrainState};
use crate::config::{BaselineConfig, to_toml};
use crate::error::{Result, TrainError};
use crate::storage;

/// Writes an adapted model: the settings of its run, with the target as data and what was trained in `[optimizer]`, and one
/// checkpoint.
pub(super) fn save(
    folder: &Path,
    model: &dyn Model,
    how: &FewShot<'_>,
    steps: u64,
    (data, target, file): (&DataConfig, &DatasetInfo, &ModelFile),
) -> Result<()> {
    let mut config = (*how.model.config).clone();
    // Widths are written out: they must not depend on the number of classes.
    config.model = file.model.clone();
    config.baseline = BaselineConfig::default();
    config.data = data.clone();
    (config.training.steps, config.training.epochs) = (Some(steps), None);
    config.optimizer.trained = how.trained.to_vec();
    config.optimizer.learning_rate = how.learning_rate;
    config.optimizer.min_lr = config.optimizer.min_lr.min(how.learning_rate);
    config.optimizer.warmup_from = config.optimizer.warmup_from.min(how.learning_rate);
    config.optimizer.weight_decay = how.training.weight_decay;
    config.optimizer.clip_norm = Some(how.training.clip_norm);
    let config = config.check()?;
    let settings = to_toml(&config);
    let checkpoint = Checkpoint {
        state: TrainState {
            step: steps,
            seed: config.seed,
            ..TrainState::default()
        },
        data: Some(DatasetInfo {
            inputs: file.inputs.clone(),
            preprocessing: file.preprocessing.clone(),
            ..target.clone()
        }),
        settings: settings.clone(),
        model: model.params().export()?,
        ..Checkpoint::default()
    };
    FolderStore::open(&folder.join("checkpoints"), 1)?.save(&checkpoint)?;
    let path = folder.join("config.toml");
    std::fs::create_dir_all(folder).map_err(TrainError::io("make the folder", folder))?;
    storage::write_atomically(&path, digest::seal_toml(&settings).as_bytes())
}
