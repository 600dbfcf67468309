//! Checkpoints as files `step-<number>.safetensors` in a folder; the highest number is the last.
//!
//! A file appears under its name only when all of it is on disk, so no separate pointer to the last one is needed.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Checkpoint, CheckpointStore};
use crate::error::{Result, TrainError};
use crate::storage;

/// Keeps the last few checkpoints in a folder.
#[derive(Debug)]
pub struct FolderStore {
    folder: PathBuf,
    keep: usize,
}

impl FolderStore {
    /// Uses `folder`, made if needed, for at most `keep` checkpoints (at least 1).
    ///
    /// # Errors
    /// The folder cannot be made or read.
    pub fn open(folder: &Path, keep: usize) -> Result<Self> {
        fs::create_dir_all(folder).map_err(TrainError::io("make the folder", folder))?;
        storage::remove_unfinished(folder)?;
        Ok(Self {
            folder: folder.to_owned(),
            keep: keep.max(1),
        })
    }

    /// Checkpoints of a folder by step, oldest first; nothing is made or removed.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn list(folder: &Path) -> Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(folder).map_err(TrainError::io("read", folder))? {
            let path = entry.map_err(TrainError::io("read", folder))?.path();
            if let Some(step) = step_of(&path) {
                found.push((step, path));
            }
        }
        found.sort_unstable();
        Ok(found.into_iter().map(|(_, path)| path).collect())
    }

    /// The last checkpoint of a folder, read; `None` if it has none.
    ///
    /// # Errors
    /// [`TrainError::Checkpoint`] if the file is damaged, naming it and the newest whole one.
    pub fn read_last(folder: &Path) -> Result<Option<Checkpoint>> {
        let files = Self::list(folder)?;
        let Some((path, earlier)) = files.split_last() else {
            return Ok(None);
        };
        let checkpoint = read(path)?.map_err(|reason| {
            let whole = |path: &&PathBuf| matches!(read(path), Ok(Ok(_)));
            TrainError::Checkpoint {
                path: path.clone(),
                reason,
                whole: earlier.iter().rev().find(whole).cloned(),
            }
        })?;
        Ok(Some(checkpoint))
    }
}

/// The checkpoint in a file, or what is wrong with its bytes.
fn read(path: &Path) -> Result<std::result::Result<Checkpoint, String>> {
    let bytes = fs::read(path).map_err(TrainError::io("read", path))?;
    Ok(Checkpoint::from_bytes(&path.display().to_string(), &bytes))
}

fn step_of(path: &Path) -> Option<u64> {
    path.file_name()?
        .to_str()?
        .strip_prefix("step-")?
        .strip_suffix(".safetensors")?
        .parse()
        .ok()
}

impl CheckpointStore for FolderStore {
    fn save(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        let path = self
            .folder
            .join(format!("step-{:08}.safetensors", checkpoint.state.step));
        storage::write_atomically(&path, &checkpoint.to_bytes()?)?;
        let files = Self::list(&self.folder)?;
        for old in files.iter().rev().skip(self.keep) {
            fs::remove_file(old).map_err(TrainError::io("remove", old))?;
        }
        Ok(())
    }

    fn last(&self) -> Result<Option<Checkpoint>> {
        Self::read_last(&self.folder)
    }

    fn location(&self) -> Option<String> {
        Some(Self::list(&self.folder).ok()?.last()?.display().to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Tensor;

    fn checkpoint(step: u64) -> Checkpoint {
        let mut checkpoint = Checkpoint::default();
        checkpoint.state.step = step;
        checkpoint.data = Some(nac_data::source::cifar10::info());
        checkpoint.state.wall_seconds = 0.1 + 0.2;
        checkpoint.settings = "seed = 1\n".into();
        checkpoint
            .model
            .insert("a.b".into(), Tensor::from_slice(&[step as f32]));
        checkpoint
            .optimizer
            .insert("m.a.b".into(), Tensor::from_slice(&[1.0_f32]));
        checkpoint
            .losses
            .insert("graph_prior.x".into(), Tensor::from_slice(&[1_i64]));
        checkpoint
    }

    #[test]
    fn the_last_comes_back_whole_and_old_ones_go() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = FolderStore::open(&folder.path().join("deep/er"), 2).unwrap();
        assert!(store.last().unwrap().is_none() && store.location().is_none());
        for step in [9, 10, 100_000_000_000] {
            store.save(&checkpoint(step)).unwrap();
        }
        let files = FolderStore::list(&store.folder).unwrap();
        assert_eq!(
            files.iter().map(|f| step_of(f)).collect::<Vec<_>>(),
            [Some(10), Some(100_000_000_000)]
        );
        let (last, expected) = (store.last().unwrap().unwrap(), checkpoint(100_000_000_000));
        assert_eq!(last.state, expected.state);
        assert_eq!(last.settings, expected.settings);
        assert_eq!(last.model, expected.model);
        assert_eq!(last.optimizer, expected.optimizer);
        assert_eq!(last.losses, expected.losses);
    }

    #[test]
    fn damaged_files_are_named_with_the_newest_whole_one() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = FolderStore::open(folder.path(), 3).unwrap();
        store.save(&checkpoint(1)).unwrap();
        store.save(&checkpoint(2)).unwrap();
        let path = folder.path().join("step-00000002.safetensors");
        let whole = fs::read(&path).unwrap();
        let mut flipped = whole.clone();
        *flipped.last_mut().unwrap() ^= 1;
        for (damaged, reason) in [
            (&flipped[..], "damaged"),
            (&whole[..whole.len() - 3], "damaged"),
            (&whole[..5], "not a usable safetensors file"),
            (&[], "not a usable safetensors file"),
            (b"{\"not\": \"a checkpoint\"}", "not a usable"),
        ] {
            fs::write(&path, damaged).unwrap();
            let error = store.last().unwrap_err().to_string();
            let start = format!("step-00000002.safetensors: {reason}");
            assert!(error.contains(&start), "{error}");
            assert!(
                error.contains("The newest whole one is") && error.contains("step-00000001"),
                "{error}"
            );
        }
        // Every bit counts, those of the header too.
        for bit in 0..whole.len() * 8 {
            let mut damaged = whole.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(Checkpoint::from_bytes("x", &damaged).is_err(), "bit {bit}");
        }
        let mut foreign = nac_modules::params::TensorFile::default();
        foreign
            .tensors
            .insert("a".into(), Tensor::from_slice(&[1.0_f32]));
        fs::write(&path, foreign.to_bytes().unwrap()).unwrap();
        assert!(
            store
                .last()
                .unwrap_err()
                .to_string()
                .contains("no `nac` metadata")
        );
        // One that is damaged too is passed over.
        store.save(&checkpoint(3)).unwrap();
        let last = folder.path().join("step-00000003.safetensors");
        fs::write(&last, &flipped[..flipped.len() - 1]).unwrap();
        let error = store.last().unwrap_err().to_string();
        assert!(
            error.contains("step-00000003.safetensors: damaged"),
            "{error}"
        );
        assert!(
            error.contains("whole one is") && error.contains("step-00000001"),
            "{error}"
        );
    }

    #[test]
    fn a_folder_below_a_file_cannot_be_made() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("file"), "kept").unwrap();
        let error = FolderStore::open(&folder.path().join("file/checkpoints"), 1)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("cannot make the folder") && error.contains("file/checkpoints"),
            "{error}"
        );
    }
}
