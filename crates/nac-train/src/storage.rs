//! Files that are whole or not there: written beside the final path, brought to disk, then renamed.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use nac_core::digest;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Result, TrainError};

/// Start of the names of files that are not finished.
const UNFINISHED: &str = ".unfinished-";

/// Replaces `path` by a file with these bytes; a kill at any moment leaves the old file or the new one.
///
/// # Errors
/// The folder cannot be written, or the disk is full; the old file stays.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    builder.prefix(UNFINISHED);
    #[cfg(unix)]
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o666);
    #[cfg(unix)]
    builder.permissions(permissions);
    let mut file = builder
        .tempfile_in(folder)
        .map_err(TrainError::io("create a file in", folder))?;
    write_synced(file.as_file_mut(), bytes, path)?;
    file.persist(path)
        .map_err(|error| TrainError::io("write", path)(error.error))?;
    if cfg!(unix) {
        File::open(folder)
            .and_then(|f| f.sync_all())
            .map_err(TrainError::io("write", folder))?;
    }
    Ok(())
}

/// The text of a file; an error if it has a digest and is not as it was written.
///
/// # Errors
/// The file cannot be read, is no text, or is [`TrainError::Damaged`].
pub fn read_sealed(path: &Path) -> Result<String> {
    let text = fs::read_to_string(path).map_err(TrainError::io("read", path))?;
    digest::check_text(&text).map_err(|cause| TrainError::Damaged {
        path: path.to_owned(),
        cause,
    })?;
    Ok(text)
}

/// What a sealed JSON file holds.
///
/// # Errors
/// As [`read_sealed`], or it is no JSON of this form.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text = read_sealed(path)?;
    serde_json::from_str(&text).map_err(|error| TrainError::io("read", path)(error.into()))
}

/// Writes a sealed JSON file, as [`write_atomically`].
///
/// # Errors
/// The value has no JSON form, or as [`write_atomically`].
pub fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    write_atomically(path, to_json(value, path)?.as_bytes())
}

/// The content of a sealed JSON file; `path` is for errors.
pub(crate) fn to_json(value: &impl Serialize, path: &Path) -> Result<String> {
    let text = serde_json::to_string_pretty(value);
    let text = text.map_err(|error| TrainError::io("write", path)(error.into()))?;
    Ok(digest::seal_json(&format!("{text}\n")))
}

/// An error if `path` exists and is not to be replaced.
///
/// # Errors
/// [`TrainError::Exists`].
pub fn refuse_existing(path: &Path, replace: bool) -> Result<()> {
    if path.exists() && !replace {
        return Err(TrainError::Exists {
            path: path.to_owned(),
        });
    }
    Ok(())
}

fn write_synced(file: &mut File, bytes: &[u8], path: &Path) -> Result<()> {
    file.write_all(bytes)
        .map_err(TrainError::io("write", path))?;
    file.sync_all().map_err(TrainError::io("write", path))
}

/// Whether a file of this name is what a killed run did not finish.
pub fn is_unfinished(name: &OsStr) -> bool {
    name.to_string_lossy().starts_with(UNFINISHED)
}

/// Removes unfinished files of killed runs from a folder.
///
/// # Errors
/// The folder cannot be read or a file not be removed.
pub fn remove_unfinished(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder).map_err(TrainError::io("read", folder))? {
        let entry = entry.map_err(TrainError::io("read", folder))?;
        if is_unfinished(&entry.file_name()) {
            fs::remove_file(entry.path()).map_err(TrainError::io("remove", &entry.path()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_appear_whole_and_leftovers_go() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        write_atomically(&path, b"old").unwrap();
        write_atomically(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        fs::write(folder.path().join(".unfinished-x"), "half").unwrap();
        remove_unfinished(folder.path()).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_and_a_folder_that_is_none_are_named() {
        let mut full = fs::OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .unwrap();
        let error = write_synced(&mut full, b"x", Path::new("run/last"))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("cannot write run/last: No space left"),
            "{error}"
        );
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "kept").unwrap();
        let error = write_atomically(&file.join("x"), b"")
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("cannot create a file in") && error.contains("Not a directory"),
            "{error}"
        );
        assert_eq!(fs::read(&file).unwrap(), b"kept");
    }
}
