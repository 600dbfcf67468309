//! Atomic writes: a lock for a folder, and folders that appear by a rename.

use std::path::{Path, PathBuf};

use fs_err as fs;
use tempfile::TempDir;

use crate::{DataError, Progress};

const LOCK: &str = ".nac-lock";
const STAGING_PREFIX: &str = ".nac-unfinished-";

/// Locks a folder for this process until dropped; others wait.
pub(crate) struct FolderLock {
    folder: PathBuf,
    _file: fs::File,
}

impl FolderLock {
    /// Creates the folder if needed, waits for the lock, and removes what killed runs left behind.
    pub(crate) fn take(folder: &Path, progress: &dyn Progress) -> Result<Self, DataError> {
        fs::create_dir_all(folder)?;
        let path = folder.join(LOCK);
        let file = fs::OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)?;
        if file.file().try_lock().is_err() {
            progress.note(&format!(
                "waiting for another run that uses {}",
                folder.display()
            ));
            file.file()
                .lock()
                .map_err(|e| with_path("lock", &path, &e))?;
        }
        let lock = Self {
            folder: folder.into(),
            _file: file,
        };
        lock.remove_unfinished()?;
        Ok(lock)
    }

    /// With the lock held, no other run is writing, so unfinished folders are left-overs.
    fn remove_unfinished(&self) -> Result<(), DataError> {
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            if entry
                .file_name()
                .to_string_lossy()
                .starts_with(STAGING_PREFIX)
            {
                fs::remove_dir_all(entry.path())?;
            }
        }
        Ok(())
    }

    /// An empty folder inside the locked one; it is removed unless it is put in place.
    pub(crate) fn staging(&self) -> Result<TempDir, DataError> {
        tempfile::Builder::new()
            .prefix(STAGING_PREFIX)
            .tempdir_in(&self.folder)
            .map_err(|e| with_path("create a folder in", &self.folder, &e))
    }

    /// Renames `from` to `to`, which must not exist, and waits until the rename is on disk.
    pub(crate) fn put_in_place(&self, from: &Path, to: &Path) -> Result<(), DataError> {
        if to.exists() {
            return Err(DataError::Io(std::io::Error::new(
                std::io::ErrorKind::AlreadyExists,
                format!(
                    "`{}` exists and is not overwritten; move it away",
                    to.display()
                ),
            )));
        }
        fs::rename(from, to)?;
        sync_folder(&self.folder)
    }
}

/// Waits until the names in a folder are on disk (where the system can open folders).
pub(crate) fn sync_folder(folder: &Path) -> Result<(), DataError> {
    if cfg!(unix) {
        fs::File::open(folder)?.sync_all()?;
    }
    Ok(())
}

/// An operating-system error with the operation and the path in its text.
pub(crate) fn with_path(operation: &str, path: &Path, error: &std::io::Error) -> DataError {
    let text = format!("failed to {operation} `{}`: {error}", path.display());
    DataError::Io(std::io::Error::new(error.kind(), text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Silent;

    #[test]
    fn leftovers_go_and_places_are_not_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join(".nac-unfinished-1/x")).unwrap();
        fs::write(dir.path().join("other"), "kept").unwrap();
        let lock = FolderLock::take(dir.path(), &Silent).unwrap();
        assert!(!dir.path().join(".nac-unfinished-1").exists());

        let staging = lock.staging().unwrap();
        fs::create_dir(staging.path().join("set")).unwrap();
        let target = dir.path().join("set");
        lock.put_in_place(&staging.path().join("set"), &target)
            .unwrap();
        assert!(target.is_dir());
        let error = lock
            .put_in_place(staging.path(), &dir.path().join("other"))
            .unwrap_err();
        assert!(error.to_string().contains("not overwritten"), "{error}");
        assert_eq!(
            fs::read_to_string(dir.path().join("other")).unwrap(),
            "kept"
        );
    }

    #[test]
    fn a_folder_that_cannot_be_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        let Err(error) = FolderLock::take(&file.join("sub"), &Silent) else {
            panic!("locked")
        };
        assert!(error.to_string().contains("file"), "{error}");
    }
}
