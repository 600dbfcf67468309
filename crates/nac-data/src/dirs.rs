//! [`DataDirs`]: the folders in which data are looked for, in order.

use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;

use crate::DataError;

/// Name of the environment variable with the user's data folder.
pub const DATA_DIR_VARIABLE: &str = "NAC_DATA_DIR";

/// Name of the environment variable that moves the cache, by default `nac` in the user's cache folder.
pub const CACHE_DIR_VARIABLE: &str = "NAC_CACHE_DIR";

/// Folders in which data sets are looked for: `--data-dir`, `NAC_DATA_DIR`, the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataDirs {
    data_dir: Option<PathBuf>,
    env_dir: Option<PathBuf>,
    cache: PathBuf,
}

impl DataDirs {
    /// Folders given one by one: the option `--data-dir`, the value of `NAC_DATA_DIR`, the cache.
    #[must_use]
    pub fn new(data_dir: Option<PathBuf>, env_dir: Option<PathBuf>, cache: PathBuf) -> Self {
        Self {
            data_dir,
            env_dir,
            cache,
        }
    }

    /// Takes `NAC_DATA_DIR` from the environment, and `data` in the cache folder: `NAC_CACHE_DIR`, else `nac`
    /// in the user's cache folder (`~/.cache/nac/data` on Linux, `XDG_CACHE_HOME` is respected).
    ///
    /// # Errors
    /// [`DataError::Config`] if the home folder is needed and not known.
    pub fn discover(data_dir: Option<PathBuf>) -> Result<Self, DataError> {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let cache = match variable(CACHE_DIR_VARIABLE) {
            Some(dir) => PathBuf::from(dir),
            None => etcetera::choose_base_strategy()
                .map_err(|e| DataError::Config {
                    field: "cache folder".into(),
                    reason: format!("the home folder is not known ({e}); set {CACHE_DIR_VARIABLE}"),
                })?
                .cache_dir()
                .join("nac"),
        };
        let env_dir = variable(DATA_DIR_VARIABLE).map(PathBuf::from);
        Ok(Self::new(data_dir, env_dir, cache.join("data")))
    }

    /// All folders, in the order of the search.
    #[must_use]
    pub fn search(&self) -> Vec<PathBuf> {
        let given = [&self.data_dir, &self.env_dir]
            .into_iter()
            .flatten()
            .cloned();
        let mut all: Vec<PathBuf> = Vec::new();
        for dir in given.chain([self.cache.clone()]) {
            if !all.contains(&dir) {
                all.push(dir);
            }
        }
        all
    }

    /// The folder of `--data-dir`, if it was given.
    #[must_use]
    pub fn data_dir(&self) -> Option<&Path> {
        self.data_dir.as_deref()
    }

    /// Where downloads go: the first of the folders.
    #[must_use]
    pub fn download_dir(&self) -> &Path {
        self.data_dir
            .as_deref()
            .or(self.env_dir.as_deref())
            .unwrap_or(&self.cache)
    }

    /// Where generated data go.
    #[must_use]
    pub fn cache(&self) -> &Path {
        &self.cache
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_option_variable_cache() {
        let dirs = DataDirs::new(Some("a".into()), Some("b".into()), "c".into());
        assert_eq!(dirs.search(), ["a", "b", "c"].map(PathBuf::from));
        assert_eq!(dirs.download_dir(), Path::new("a"));
        let dirs = DataDirs::new(None, Some("c".into()), "c".into());
        assert_eq!(dirs.search(), [PathBuf::from("c")]);
        assert_eq!(
            DataDirs::new(None, None, "c".into()).download_dir(),
            Path::new("c")
        );
    }

    #[test]
    fn the_cache_ends_in_data() {
        let dirs = DataDirs::discover(Some("x".into())).unwrap();
        assert!(dirs.cache().ends_with("data"));
        assert_eq!(dirs.search()[0], PathBuf::from("x"));
    }
}
