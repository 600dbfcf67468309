//! [`SourceModel`]: a trained model that is adapted.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use nac_core::digest;
use nac_core::model::{ModelFile, OutputSpec};
use nac_modules::model::{BuildModel as _, Model};
use nac_modules::params::ParamStore;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind};

use super::part::answer_names;
use crate::checkpoint::Checkpoint;
use crate::config::ValidConfig;
use crate::error::{Result, TrainError};
use crate::run::{RunFolder, trained_file};

/// The last checkpoint of a run, with what is needed to build its model for other classes.
#[derive(Debug)]
pub struct SourceModel {
    /// Which run it is.
    pub id: ModelId,
    /// Settings of the run.
    pub config: ValidConfig,
    /// Description of the model, widths written out.
    pub file: ModelFile,
    /// The checkpoint.
    pub checkpoint: Checkpoint,
}

/// Which run a model is of, and which weights.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelId {
    /// Name in results: that of the run's folder, or its path where two have the same name.
    pub name: String,
    /// Folder of the run.
    pub run: PathBuf,
    /// `nac`, `perceiver-io` or another kind.
    pub kind: String,
    /// SHA-256 of the checkpoint, in hexadecimal.
    pub checkpoint: String,
}

impl SourceModel {
    /// Opens the last checkpoints of some runs.
    ///
    /// # Errors
    /// There is no run; as [`RunFolder::trained`]; the model does not answer classes, or two runs are the same folder.
    pub fn open_all(runs: &[PathBuf]) -> Result<Vec<Self>> {
        if runs.is_empty() {
            return Err(TrainError::setting(
                "runs",
                "none",
                "at least one is needed",
            ));
        }
        let distinct: BTreeSet<&PathBuf> = runs.iter().collect();
        if distinct.len() != runs.len() {
            return Err(TrainError::setting(
                "runs",
                format!("{runs:?}"),
                "each at most once",
            ));
        }
        let short = |run: &Path| {
            run.file_name()
                .map(|name| name.to_string_lossy().into_owned())
        };
        let names: Vec<_> = runs.iter().map(|run| short(run)).collect();
        let name = |run: &PathBuf| match short(run) {
            Some(name) if names.iter().filter(|n| n.as_deref() == Some(&name)).count() == 1 => name,
            _ => run.display().to_string(),
        };
        runs.iter().map(|run| Self::open(run, name(run))).collect()
    }

    fn open(run: &Path, name: String) -> Result<Self> {
        let (config, checkpoint) = RunFolder::new(run.to_owned()).trained()?;
        let file = trained_file(&config, &checkpoint)?;
        if file.output.class_count().is_none() {
            let reason =
                "the model answers numbers; only models that answer classes can be used here";
            return Err(TrainError::setting("run", run.display(), reason));
        }
        let path = PathBuf::from(&checkpoint.source);
        let bytes = fs::read(&path).map_err(TrainError::io("read", &path))?;
        let absolute = std::path::absolute(run).map_err(TrainError::io("find", run))?;
        Ok(Self {
            id: ModelId {
                name,
                run: absolute,
                kind: config.model.kind.to_string(),
                checkpoint: digest::sha256(&bytes),
            },
            config,
            file,
            checkpoint,
        })
    }

    /// The model as it was trained.
    ///
    /// # Errors
    /// A setting is out of range, or the checkpoint does not fit.
    pub fn restore(&self, device: Device) -> Result<Box<dyn Model>> {
        let store = ParamStore::new(device, Kind::Float, self.config.seed);
        let mut model = self.file.build(store)?;
        let checkpoint = &self.checkpoint;
        model
            .params_mut()
            .import(&checkpoint.source, &checkpoint.model)?;
        Ok(model)
    }

    /// Description of the model with other classes.
    #[must_use]
    pub fn file_for(&self, output: &OutputSpec) -> ModelFile {
        ModelFile {
            output: output.clone(),
            ..self.file.clone()
        }
    }

    /// The model for other classes: the weights of the checkpoint, but new ones, drawn by `seed`, for all tensors whose
    /// sizes depend on the number of classes.
    ///
    /// # Errors
    /// A setting is out of range, or the checkpoint does not fit.
    pub fn build(&self, output: &OutputSpec, device: Device, seed: u64) -> Result<Box<dyn Model>> {
        let file = self.file_for(output);
        let mut model = file.build(ParamStore::new(device, Kind::Float, seed))?;
        let own = model.params().export()?;
        let new: BTreeSet<String> = answer_names(&file)?.into_iter().collect();
        let mut tensors = std::collections::BTreeMap::new();
        for (name, tensor) in &self.checkpoint.model {
            let tensor = match own.get(name).filter(|_| new.contains(name)) {
                Some(drawn) => drawn,
                None => tensor,
            };
            tensors.insert(name.clone(), tensor.shallow_clone());
        }
        model
            .params_mut()
            .import(&self.checkpoint.source, &tensors)?;
        Ok(model)
    }
}
