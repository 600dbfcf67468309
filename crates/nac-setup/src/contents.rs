//! Layouts in the cache: the record of their contents, and replacing one as a whole.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::SetupError;
use crate::kind::VERSION;

const CONTENTS: &str = "contents.json";

/// Size in bytes of every file of a layout in the cache.
#[derive(Debug, Serialize, Deserialize, PartialEq, Eq)]
struct Contents(BTreeMap<String, u64>);

fn json(dir: &Path) -> impl FnOnce(serde_json::Error) -> SetupError {
    |source| SetupError::Json {
        what: dir.join(CONTENTS).display().to_string(),
        source,
    }
}

/// Adds what the linker and torch-sys expect, records the contents and writes everything to disk.
pub(crate) fn complete(dir: &Path, torch: &Path) -> Result<(), SetupError> {
    let lib = torch.join("lib");
    fs_err::write(torch.join("build-version"), VERSION)?;
    if !lib.join("libtorch.so").exists() {
        // torch-sys links `torch`, a library without code; this script replaces it.
        fs_err::write(lib.join("libtorch.so"), "INPUT(-ltorch_cpu)\n")?;
    }
    #[cfg(unix)]
    if lib.join("libgomp.so.1").exists() && !lib.join("libgomp.so").exists() {
        // torch-sys links `gomp` too; a C++ compiler other than GCC may not bring it.
        fs_err::os::unix::fs::symlink("libgomp.so.1", lib.join("libgomp.so"))?;
    }
    let mut sizes = BTreeMap::new();
    let mut folders = vec![dir.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs_err::read_dir(&folder)? {
            let path = entry?.path();
            if fs_err::symlink_metadata(&path)?.is_dir() {
                folders.push(path);
                continue;
            }
            let relative = path.strip_prefix(dir).unwrap_or(&path);
            let relative = relative.to_string_lossy().into_owned();
            sizes.insert(relative, fs_err::metadata(&path)?.len());
            // Thousands of headers are left to the system: a lost one shows in the recorded sizes.
            if path.parent() == Some(lib.as_path()) {
                fs_err::File::open(&path)?.sync_all()?;
            }
        }
    }
    let text = serde_json::to_vec(&Contents(sizes)).map_err(json(dir))?;
    fs_err::write(dir.join(CONTENTS), text)?;
    fs_err::File::open(dir.join(CONTENTS))?.sync_all()?;
    Ok(fs_err::File::open(dir)?.sync_all()?)
}

/// Checks that a layout in the cache still has every file with its size.
pub(crate) fn intact(dir: &Path) -> Result<(), SetupError> {
    let text = fs_err::read(dir.join(CONTENTS))?;
    let Contents(sizes) = serde_json::from_slice(&text).map_err(json(dir))?;
    for (file, expected) in sizes {
        let path = dir.join(file);
        let found = fs_err::metadata(&path)?.len();
        if found != expected {
            return Err(SetupError::Damaged {
                path,
                found,
                expected,
            });
        }
    }
    Ok(())
}

/// Renames a complete staging folder to `folder`; an older one there is removed afterwards.
pub(crate) fn replace(staging: &Path, folder: &Path) -> Result<(), SetupError> {
    let old = sibling(folder, ".old-");
    remove_dir(&old)?;
    if folder.exists() {
        fs_err::rename(folder, &old)?;
    }
    fs_err::rename(staging, folder)?;
    if let Some(parent) = folder.parent() {
        fs_err::File::open(parent)?.sync_all()?;
    }
    remove_dir(&old)
}

/// A hidden name beside a path.
pub(crate) fn sibling(path: &Path, prefix: &str) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!("{prefix}{name}"))
}

/// Removes a folder if it is there.
pub(crate) fn remove_dir(dir: &Path) -> Result<(), SetupError> {
    match fs_err::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::tests::fake;

    #[test]
    fn a_damaged_layout_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        fake(dir.path(), "2.11.0");
        assert!(intact(dir.path()).is_err(), "no contents recorded yet");
        complete(dir.path(), dir.path()).unwrap();
        intact(dir.path()).unwrap();
        fs_err::write(dir.path().join("version.py"), "").unwrap();
        let error = intact(dir.path()).unwrap_err().to_string();
        assert!(error.contains("version.py has 0 bytes"), "{error}");
    }

    #[test]
    fn a_layout_is_replaced_as_a_whole() {
        let dir = tempfile::tempdir().unwrap();
        let (folder, staging) = (dir.path().join("a"), dir.path().join(".staging-a"));
        fs_err::create_dir(&folder).unwrap();
        fs_err::write(folder.join("old"), "").unwrap();
        fs_err::create_dir(&staging).unwrap();
        fs_err::write(staging.join("new"), "").unwrap();
        replace(&staging, &folder).unwrap();
        assert!(folder.join("new").exists() && !folder.join("old").exists());
        assert_eq!(fs_err::read_dir(dir.path()).unwrap().count(), 1);
    }
}
