//! Checkpoints: everything a run needs to go on bit for bit, and the trait of stores.
//!
//! A checkpoint is one safetensors file. Tensors: `model.<name>` (parameters and buffers),
//! `optim.<name>` (state of the optimizer; of AdamW `<m|v|t>.<parameter>`) and `loss.<term>.<name>` (state of loss terms). The metadata key `nac` holds
//! the [`TrainState`] as JSON, the key `data` what the model reads and answers, the key `settings` the settings of the
//! run. The digest of the file ([`nac_core::digest`]) is compared whenever it is read.

mod folder;
mod state;

use std::collections::BTreeMap;

use nac_core::digest;
use nac_data::DatasetInfo;
use nac_modules::params::TensorFile;
use tch::Tensor;

pub use folder::FolderStore;
pub use state::{Running, TrainState};

use crate::error::Result;

const METADATA: &str = "nac";
const DATA: &str = "data";
const SETTINGS: &str = "settings";
const MODEL: &str = "model.";
const OPTIMIZER: &str = "optim.";
const LOSS: &str = "loss.";

/// What a run saves.
#[derive(Debug, Default)]
pub struct Checkpoint {
    /// Where it comes from, for error messages; not saved.
    pub source: String,
    /// Step, seed, curves, times.
    pub state: TrainState,
    /// What the model reads and answers: the description of the data that it is trained on, if it is known.
    pub data: Option<DatasetInfo>,
    /// The settings of the run as TOML; empty if the program gave none.
    pub settings: String,
    /// Parameters and buffers of the model.
    pub model: BTreeMap<String, Tensor>,
    /// State of the optimizer.
    pub optimizer: BTreeMap<String, Tensor>,
    /// State of loss terms, under `<term>.<name>`.
    pub losses: BTreeMap<String, Tensor>,
}

impl Checkpoint {
    /// The content of the file.
    ///
    /// # Errors
    /// A tensor has an element type that safetensors lacks.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut file = TensorFile::default();
        for (prefix, tensors) in [
            (MODEL, &self.model),
            (OPTIMIZER, &self.optimizer),
            (LOSS, &self.losses),
        ] {
            file.tensors.extend(
                tensors
                    .iter()
                    .map(|(name, t)| (format!("{prefix}{name}"), t.shallow_clone())),
            );
        }
        let state = serde_json::to_string(&self.state)
            .map_err(|e| crate::TrainError::State(e.to_string()))?;
        file.metadata.insert(METADATA.into(), state);
        if let Some(data) = &self.data {
            let data =
                serde_json::to_string(data).map_err(|e| crate::TrainError::State(e.to_string()))?;
            file.metadata.insert(DATA.into(), data);
        }
        file.metadata.insert(SETTINGS.into(), self.settings.clone());
        Ok(file.to_bytes()?)
    }

    /// Reads the content of a file called `source`.
    ///
    /// # Errors
    /// A description of what is wrong with the bytes.
    pub fn from_bytes(source: &str, bytes: &[u8]) -> std::result::Result<Self, String> {
        let mut file = TensorFile::from_bytes(bytes)?;
        let state = file
            .metadata
            .get(METADATA)
            .ok_or("not a checkpoint of a training run: no `nac` metadata")?;
        if !file.metadata.contains_key(digest::KEY) {
            return Err("damaged: a checkpoint has a digest, this file has none".into());
        }
        let state = serde_json::from_str(state).map_err(|e| format!("`nac` metadata: {e}"))?;
        let data = file
            .metadata
            .get(DATA)
            .map(|text| serde_json::from_str(text));
        let data = data
            .transpose()
            .map_err(|e| format!("`{DATA}` metadata: {e}"))?;
        let mut checkpoint = Self {
            source: source.to_owned(),
            state,
            data,
            settings: file.metadata.remove(SETTINGS).unwrap_or_default(),
            ..Self::default()
        };
        for (name, tensor) in file.tensors {
            let parts = [
                (MODEL, &mut checkpoint.model),
                (OPTIMIZER, &mut checkpoint.optimizer),
                (LOSS, &mut checkpoint.losses),
            ];
            let part = parts
                .into_iter()
                .find_map(|(prefix, map)| Some((name.strip_prefix(prefix)?, map)));
            let (name, map) = part.ok_or_else(|| format!("unexpected tensor `{name}`"))?;
            map.insert(name.to_owned(), tensor);
        }
        Ok(checkpoint)
    }
}

/// Keeps checkpoints.
pub trait CheckpointStore {
    /// Keeps a checkpoint as the last one; earlier ones may go.
    ///
    /// # Errors
    /// It cannot be stored; earlier ones are still there.
    fn save(&mut self, checkpoint: &Checkpoint) -> Result<()>;

    /// The last checkpoint, `None` if there is none.
    ///
    /// # Errors
    /// It cannot be read. There is no silent fall-back to an earlier one.
    fn last(&self) -> Result<Option<Checkpoint>>;

    /// Where the last checkpoint is, in words; `None` if there is none.
    fn location(&self) -> Option<String>;
}

/// Keeps nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoCheckpoints;

impl CheckpointStore for NoCheckpoints {
    fn save(&mut self, _checkpoint: &Checkpoint) -> Result<()> {
        Ok(())
    }

    fn last(&self) -> Result<Option<Checkpoint>> {
        Ok(None)
    }

    fn location(&self) -> Option<String> {
        None
    }
}
