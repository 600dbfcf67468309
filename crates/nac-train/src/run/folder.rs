//! The folder of a run: its files, its lock, and what is never overwritten.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use nac_data::Episode;
use sha2::{Digest as _, Sha256};

use super::revision;
use crate::checkpoint::{Checkpoint, FolderStore};
use crate::config::{RunConfig, ValidConfig, differences, from_toml, to_toml};
use crate::error::{Result, TrainError};
use crate::storage;
use crate::summary::RunSummary;

const CONFIG: &str = "config.toml";
const LOCK: &str = ".lock";

/// The folder of a run.
#[derive(Debug, Clone)]
pub struct RunFolder(PathBuf);

/// Locks a run's folder for this process until dropped.
#[derive(Debug)]
pub(super) struct Lock(#[expect(dead_code, reason = "unlocks when dropped")] File);

impl RunFolder {
    /// The folder at `path`, which need not exist.
    pub fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The metrics file.
    pub fn metrics(&self) -> PathBuf {
        self.0.join("metrics.jsonl")
    }

    /// The folder of checkpoints.
    pub fn checkpoints(&self) -> PathBuf {
        self.0.join("checkpoints")
    }

    /// The summary file; it exists if the run is finished.
    pub fn summary_file(&self) -> PathBuf {
        self.0.join("summary.json")
    }

    /// The frozen settings.
    ///
    /// # Errors
    /// There are none, or they cannot be read.
    pub fn config(&self) -> Result<RunConfig> {
        let path = self.0.join(CONFIG);
        let text = fs::read_to_string(&path).map_err(TrainError::io("read", &path))?;
        from_toml(&text, &path, &[])
    }

    /// The summary.
    ///
    /// # Errors
    /// The run is not finished, or the file is damaged.
    pub fn summary(&self) -> Result<RunSummary> {
        let path = self.summary_file();
        let text = fs::read_to_string(&path).map_err(TrainError::io("read", &path))?;
        serde_json::from_str(&text).map_err(|error| TrainError::io("read", &path)(error.into()))
    }

    /// The last checkpoint.
    ///
    /// # Errors
    /// [`TrainError::Checkpoint`] if there is none yet, or it is damaged.
    pub fn last_checkpoint(&self) -> Result<Checkpoint> {
        let checkpoints = self.checkpoints();
        let last = if checkpoints.is_dir() {
            FolderStore::read_last(&checkpoints)?
        } else {
            None
        };
        last.ok_or_else(|| TrainError::Checkpoint {
            path: checkpoints,
            reason: "there is no checkpoint yet".into(),
            previous: None,
        })
    }

    /// Whether a run may use the folder; the summary if `resume` finds it finished. Writes nothing.
    ///
    /// # Errors
    /// [`TrainError::FolderInUse`] if it holds something and `resume` is false, or something that is no run;
    /// [`TrainError::OtherConfig`] if `resume` finds a run with other settings.
    pub fn inspect(&self, config: &ValidConfig, resume: bool) -> Result<Option<RunSummary>> {
        if !self.holds_something()? {
            return Ok(None);
        }
        let has_run = self.0.join(CONFIG).exists();
        if !resume || !has_run {
            let what = if has_run {
                "holds a run"
            } else {
                "holds files that are no run"
            };
            return Err(TrainError::FolderInUse {
                folder: self.0.clone(),
                what: what.into(),
            });
        }
        let differences = differences(&self.config()?, config);
        if !differences.is_empty() {
            return Err(TrainError::OtherConfig {
                folder: self.0.clone(),
                differences,
            });
        }
        if self.summary_file().exists() {
            self.summary().map(Some)
        } else {
            Ok(None)
        }
    }

    fn holds_something(&self) -> Result<bool> {
        if !self.0.exists() {
            return Ok(false);
        }
        for entry in fs::read_dir(&self.0).map_err(TrainError::io("read", &self.0))? {
            if entry.map_err(TrainError::io("read", &self.0))?.file_name() != LOCK {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Makes the folder, takes it for this process, and writes settings and revision if they are not there.
    pub(super) fn create(&self, config: &ValidConfig) -> Result<Lock> {
        fs::create_dir_all(&self.0).map_err(TrainError::io("make the folder", &self.0))?;
        let path = self.0.join(LOCK);
        let file = File::create(&path).map_err(TrainError::io("write", &path))?;
        if file.try_lock().is_err() {
            let what = "another process is working in it".into();
            return Err(TrainError::FolderInUse {
                folder: self.0.clone(),
                what,
            });
        }
        storage::remove_unfinished(&self.0)?;
        let text = to_toml(config);
        for (name, content) in [
            (CONFIG, text),
            ("revision", format!("{}\n", revision(Path::new(".")))),
        ] {
            let path = self.0.join(name);
            if !path.exists() {
                storage::write_atomically(&path, content.as_bytes())?;
            }
        }
        Ok(Lock(file))
    }

    /// The revision that [`create`](Self::create) wrote down.
    pub(super) fn revision(&self) -> Result<String> {
        let path = self.0.join("revision");
        Ok(fs::read_to_string(&path)
            .map_err(TrainError::io("read", &path))?
            .trim()
            .to_owned())
    }

    /// Writes which training examples were drawn.
    pub(super) fn write_episode(&self, episode: &Episode) -> Result<()> {
        let path = self.0.join("episode.json");
        let text =
            serde_json::to_string(episode).map_err(|e| TrainError::io("write", &path)(e.into()))?;
        storage::write_atomically(&path, format!("{text}\n").as_bytes())
    }

    pub(super) fn finish(&self, summary: &RunSummary) -> Result<()> {
        let path = self.summary_file();
        let text = serde_json::to_string_pretty(summary)
            .map_err(|e| TrainError::io("write", &path)(e.into()))?;
        storage::write_atomically(&path, format!("{text}\n").as_bytes())
    }
}

/// SHA-256 of the settings without device and threads, which a resumed run may change.
pub(super) fn digest(config: &ValidConfig) -> String {
    let comparable = RunConfig {
        device: "auto".into(),
        threads: 0,
        ..RunConfig::clone(config)
    };
    let digest = Sha256::digest(to_toml(&comparable).as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_with_something_in_them_are_left_alone() {
        let root = tempfile::tempdir().unwrap();
        let config = RunConfig::default().check().unwrap();
        let folder = RunFolder::new(root.path().join("a/b"));
        assert!(folder.inspect(&config, false).unwrap().is_none());
        let lock = folder.create(&config).unwrap();
        let error = folder.create(&config).unwrap_err().to_string();
        assert!(error.contains("another process"), "{error}");
        drop(lock);
        assert_eq!(folder.config().unwrap(), *config);
        let error = folder.inspect(&config, false).unwrap_err().to_string();
        assert!(
            error.contains("holds a run") && error.contains("--resume"),
            "{error}"
        );
        assert!(folder.inspect(&config, true).unwrap().is_none());
        let mut other = RunConfig::default();
        (other.seed, other.device) = (9, "cpu".into());
        let other = other.check().unwrap();
        let error = folder.inspect(&other, true).unwrap_err().to_string();
        assert!(error.contains("these differ: seed (0 → 9)."), "{error}");
        assert_ne!(digest(&config), digest(&other));

        let foreign = RunFolder::new(root.path().to_owned());
        for resume in [false, true] {
            let error = foreign.inspect(&config, resume).unwrap_err().to_string();
            assert!(error.contains("no run"), "{error}");
        }
    }
}
