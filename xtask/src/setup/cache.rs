//! The folder for what is expensive to get: `NAC_CACHE_DIR`, else `nac` in the user's cache folder.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use etcetera::BaseStrategy;

use crate::progress::amount;

/// The cache folder of this project.
pub(crate) fn dir() -> Result<PathBuf> {
    if let Some(dir) = std::env::var_os("NAC_CACHE_DIR").filter(|v| !v.is_empty()) {
        return Ok(std::env::current_dir()?.join(dir));
    }
    let strategy = etcetera::choose_base_strategy().context(
        "the home folder is not known. Fix: set NAC_CACHE_DIR to a folder with free space",
    )?;
    Ok(strategy.cache_dir().join("nac"))
}

/// Free disk space where this path is, or will be.
pub(crate) fn free_space(path: &Path) -> Option<u64> {
    path.ancestors()
        .find(|p| p.exists())
        .and_then(|p| fs4::available_space(p).ok())
}

/// Makes the folder and checks that it has room.
pub(crate) fn prepare(dir: &Path, space: u64) -> Result<()> {
    fs_err::create_dir_all(dir)
        .map_err(|error| anyhow!("{error}. Fix: set NAC_CACHE_DIR to a folder you can write to"))?;
    match free_space(dir) {
        Some(free) if free < space => bail!(
            "{} has {} free, but {} are needed. Fix: make room, or set NAC_CACHE_DIR to another disk",
            dir.display(),
            amount(free, "bytes"),
            amount(space, "bytes")
        ),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_said_before_the_download() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("a/b");
        prepare(&place, 1).unwrap();
        let error = prepare(&place, u64::MAX).unwrap_err().to_string();
        assert!(
            error.contains("are needed") && error.contains("NAC_CACHE_DIR"),
            "{error}"
        );
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs_err::write(&file, "").unwrap();
        let error = format!("{:#}", prepare(&file.join("cache"), 1).unwrap_err());
        assert!(
            error.contains("cache") && error.contains("NAC_CACHE_DIR"),
            "{error}"
        );
    }
}
