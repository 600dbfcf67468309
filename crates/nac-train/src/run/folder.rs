//! The folder of a run: its files, its lock, and what is never overwritten.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use nac_core::digest;
use nac_data::{DatasetInfo, Episode, Fingerprint};
use serde::{Deserialize, Serialize};

use super::revision;
use crate::checkpoint::{Checkpoint, FolderStore};
use crate::config::{RunConfig, ValidConfig, differences, from_toml, settings_differ, to_toml};
use crate::error::{Result, TrainError};
use crate::finite::not_finite;
use crate::storage::{self, read_json, to_json, write_json};
use crate::summary::RunSummary;

const CONFIG: &str = "config.toml";
const DATA: &str = "data.json";
const LOCK: &str = ".lock";

/// What a run is trained on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunData {
    /// Tells the data apart from others.
    pub fingerprint: Fingerprint,
    /// What the examples look like.
    pub info: DatasetInfo,
}

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
    /// There are none, they cannot be read, or they are damaged.
    pub fn config(&self) -> Result<RunConfig> {
        let path = self.0.join(CONFIG);
        if !path.is_file() {
            return Err(TrainError::NoRun {
                folder: self.0.clone(),
            });
        }
        let text = storage::read_sealed(&path)?;
        from_toml(&text, &path, &[])
    }

    /// The summary.
    ///
    /// # Errors
    /// The run is not finished, or the file is damaged.
    pub fn summary(&self) -> Result<RunSummary> {
        read_json(&self.summary_file())
    }

    /// The data that the run was started with; none if it has not come so far.
    ///
    /// # Errors
    /// The file cannot be read, or is damaged.
    pub fn data(&self) -> Result<Option<RunData>> {
        let path = self.0.join(DATA);
        path.exists().then(|| read_json(&path)).transpose()
    }

    /// The settings of the run and its last checkpoint, which belongs to them and whose weights are finite.
    ///
    /// # Errors
    /// The settings cannot be used; [`TrainError::Checkpoint`] if there is no checkpoint yet, it is damaged or from a run with
    /// other settings, or a tensor of the model holds a value that is not finite.
    pub fn trained(&self) -> Result<(ValidConfig, Checkpoint)> {
        let config = self.config()?.check()?;
        let last = self.last_checkpoint()?;
        let differences = settings_differ(&last.settings, &to_toml(&config));
        let refuse = |reason: String| TrainError::Checkpoint {
            path: PathBuf::from(&last.source),
            reason,
            whole: None,
        };
        if !differences.is_empty() {
            return Err(refuse(format!(
                "it is from a run with other settings than {}; these differ: {}",
                self.0.join(CONFIG).display(),
                differences.join(", ")
            )));
        }
        if let Some(name) = not_finite(&last.model)? {
            return Err(refuse(format!(
                "`{name}` holds NaN or infinite values, so the model cannot be used"
            )));
        }
        Ok((config, last))
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
            whole: None,
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
            let (what, advice) = match (has_run, resume) {
                (true, _) => (
                    "holds a run",
                    "Use --resume to go on with it, or another --out",
                ),
                (false, true) => ("holds files, but no run to go on with", "Use another --out"),
                (false, false) => ("holds files that are no run", "Use another --out"),
            };
            return Err(TrainError::FolderInUse {
                folder: self.0.clone(),
                what,
                advice,
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

    /// Whether the run in the folder, if there is one, was started on data like these. Writes nothing.
    ///
    /// # Errors
    /// [`TrainError::OtherData`]; or the run's own note of its data cannot be read.
    pub fn check_data(&self, now: &Fingerprint) -> Result<()> {
        let differences = match self.data()? {
            Some(data) => data.fingerprint.differences(now),
            None => Vec::new(),
        };
        if differences.is_empty() {
            return Ok(());
        }
        Err(TrainError::OtherData {
            folder: self.0.clone(),
            differences,
        })
    }

    fn holds_something(&self) -> Result<bool> {
        if !self.0.exists() {
            return Ok(false);
        }
        for entry in fs::read_dir(&self.0).map_err(TrainError::io("read", &self.0))? {
            let name = entry.map_err(TrainError::io("read", &self.0))?.file_name();
            if name != LOCK && !storage::is_unfinished(&name) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Makes the folder, takes it for this process, and writes settings, data and revision if they are not there.
    pub(super) fn create(&self, config: &ValidConfig, data: &RunData) -> Result<Lock> {
        fs::create_dir_all(&self.0).map_err(TrainError::io("make the folder", &self.0))?;
        let path = self.0.join(LOCK);
        let file = File::create(&path).map_err(TrainError::io("write", &path))?;
        if file.try_lock().is_err() {
            return Err(TrainError::FolderInUse {
                folder: self.0.clone(),
                what: "another process is working in it",
                advice: "Wait until it ends, or use another --out",
            });
        }
        storage::remove_unfinished(&self.0)?;
        for (name, content) in [
            // The settings first: a folder that has them is a run, whenever the process is killed.
            (CONFIG, digest::seal_toml(&to_toml(config))),
            (DATA, to_json(data, &self.0.join(DATA))?),
            ("revision", format!("{}\n", revision(Path::new(".")))),
        ] {
            let path = self.0.join(name);
            if !path.exists() {
                storage::write_atomically(&path, content.as_bytes())?;
            }
        }
        Ok(Lock(file))
    }

    /// As [`create`](Self::create), with the training examples that were drawn, if they were.
    pub(super) fn prepare(
        &self,
        config: &ValidConfig,
        data: &RunData,
        episode: Option<&Episode>,
    ) -> Result<Lock> {
        let lock = self.create(config, data)?;
        if let Some(episode) = episode {
            self.write_episode(episode)?;
        }
        Ok(lock)
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
    fn write_episode(&self, episode: &Episode) -> Result<()> {
        let path = self.0.join("episode.json");
        write_json(&path, episode)
    }

    pub(super) fn finish(&self, summary: &RunSummary) -> Result<()> {
        let path = self.summary_file();
        write_json(&path, summary)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nac_data::testing::InMemory;

    fn data(examples: usize) -> RunData {
        let data = InMemory::images(examples, 1, 2, 2, 3);
        RunData {
            fingerprint: Fingerprint::of(&data, &data, &data),
            info: data.info_owned(),
        }
    }

    #[test]
    fn folders_with_something_in_them_are_left_alone() {
        let root = tempfile::tempdir().unwrap();
        let config = RunConfig::default().check().unwrap();
        let folder = RunFolder::new(root.path().join("a/b"));
        assert!(folder.inspect(&config, false).unwrap().is_none());
        // What a run leaves that is killed before its settings are there.
        fs::create_dir_all(folder.path()).unwrap();
        fs::write(folder.path().join(LOCK), "").unwrap();
        fs::write(folder.path().join(".unfinished-x"), "half").unwrap();
        assert!(folder.inspect(&config, false).unwrap().is_none());
        let lock = folder.create(&config, &data(20)).unwrap();
        let error = folder.create(&config, &data(20)).unwrap_err();
        let error = error.to_string();
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
        folder.check_data(&data(20).fingerprint).unwrap();
        let error = folder.check_data(&data(9).fingerprint).unwrap_err();
        assert!(
            error.to_string().contains("training examples (20 → 9)"),
            "{error}"
        );
        for name in [CONFIG, DATA] {
            let path = folder.path().join(name);
            let whole = fs::read(&path).unwrap();
            let mut damaged = whole.clone();
            let last = damaged.len() - 4;
            damaged[last] ^= 1;
            fs::write(&path, &damaged).unwrap();
            let read = folder.config().map(|_| ()).and(folder.data().map(|_| ()));
            let error = read.unwrap_err().to_string();
            assert!(error.contains(name) && error.contains("damaged"), "{error}");
            fs::write(&path, whole).unwrap();
        }

        let foreign = RunFolder::new(root.path().to_owned());
        for resume in [false, true] {
            let error = foreign.inspect(&config, resume).unwrap_err().to_string();
            assert!(error.contains("no run"), "{error}");
        }
    }
}
