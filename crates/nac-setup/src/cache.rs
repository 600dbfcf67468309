//! The folder for what is expensive to get: `NAC_CACHE_DIR`, else `nac` in the user's cache folder.

use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;

use crate::error::SetupError;

/// The cache folder of this project.
///
/// # Errors
/// The variable is not set and the home folder is not known.
pub fn dir() -> Result<PathBuf, SetupError> {
    if let Some(dir) = std::env::var_os("NAC_CACHE_DIR").filter(|v| !v.is_empty()) {
        return Ok(std::env::current_dir()?.join(dir));
    }
    let strategy = etcetera::choose_base_strategy().map_err(|_| SetupError::NoHome)?;
    Ok(strategy.cache_dir().join("nac"))
}

/// Free disk space where this path is, or will be.
pub fn free_space(path: &Path) -> Option<u64> {
    path.ancestors()
        .find(|p| p.exists())
        .and_then(|p| fs4::available_space(p).ok())
}

/// Makes the folder and checks that the disk has enough free space.
pub(crate) fn prepare(dir: &Path, space: u64) -> Result<(), SetupError> {
    fs_err::create_dir_all(dir).map_err(SetupError::CacheFolder)?;
    match free_space(dir) {
        Some(free) if free < space => Err(SetupError::Space {
            folder: dir.to_path_buf(),
            free,
            needed: space,
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_said_before_the_download() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("a/b");
        prepare(&folder, 1).unwrap();
        let error = prepare(&folder, u64::MAX).unwrap_err().to_string();
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
        let error = prepare(&file.join("cache"), 1).unwrap_err().to_string();
        assert!(
            error.contains("cache") && error.contains("NAC_CACHE_DIR"),
            "{error}"
        );
    }
}
