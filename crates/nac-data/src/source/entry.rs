//! [`Entry`]: what the registry knows about a data set that has a name.

use std::path::PathBuf;

use crate::fetch::locate::{self, Location};
use crate::fetch::manifest::Source;
use crate::fetch::{self};
use crate::{DataConfig, DataDirs, DataError, DatasetInfo, Progress, PublishedPart, Splits};

/// A data set that has a name; each file of this folder has one, `ENTRY`.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// Name, as in [`DataConfig::name`].
    pub name: &'static str,
    /// What it is.
    pub title: &'static str,
    /// Licence as its authors state it.
    pub licence: &'static str,
    /// Where its files come from.
    pub origin: Origin,
    /// How many examples it was published with, where that is known. Reads no example.
    pub counts: Option<fn(&Request<'_>) -> Vec<PublishedPart>>,
    /// What the examples look like. Reads at most what is needed to know it.
    pub describe: fn(&Request<'_>) -> Result<DatasetInfo, DataError>,
    /// Opens it. Nothing is downloaded.
    pub open: fn(&Request<'_>) -> Result<Splits, DataError>,
}

/// Where the files of a data set come from.
#[derive(Debug, Clone, Copy)]
pub enum Origin {
    /// Part of this crate.
    Bundled,
    /// Generated when it is first used.
    Generated,
    /// Published as this says.
    Published(fn() -> Source),
    /// Published, but without digests of its archives: looked for, and got by hand.
    ByHand {
        /// Its folder, if it is there.
        find: fn(&DataDirs) -> Option<PathBuf>,
        /// How to get it.
        recipe: fn(&DataDirs) -> String,
    },
    /// The user's own files, in `data.path`.
    Own,
}

/// What a data set is opened with.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// Settings.
    pub config: &'a DataConfig,
    /// Folders in which published files are looked for.
    pub dirs: &'a DataDirs,
    /// Seed of what is generated.
    pub seed: u64,
    /// Where progress is reported.
    pub progress: &'a dyn Progress,
}

impl Request<'_> {
    /// The folder of a published data set: `data.path` if it is set, else where it is found; an archive is unpacked into
    /// the cache first. Published digests are checked the first time.
    ///
    /// # Errors
    /// [`DataError::NotFound`] with instructions; errors of unpacking; [`DataError::Checksum`].
    pub fn folder(&self, source: &Source) -> Result<PathBuf, DataError> {
        let folder = match (&self.config.path, locate::locate(source, self.dirs)) {
            (Some(path), _) => path.clone(),
            (None, Some(Location::Folder(folder))) => folder,
            (None, Some(Location::Archive(archive))) => {
                return fetch::install(source, &archive, self.dirs.cache(), self.progress);
            }
            (None, None) => return Err(fetch::not_found(source, self.dirs)),
        };
        fetch::verify_once(source, &folder, self.dirs.cache(), self.progress)?;
        Ok(folder)
    }

    /// The user's own files.
    ///
    /// # Errors
    /// [`DataError::Config`] if `data.path` is not set.
    pub fn own_path(&self) -> Result<PathBuf, DataError> {
        self.config.path.clone().ok_or_else(|| DataError::Config {
            field: "data.path".into(),
            reason: format!(
                "`{}` needs the folder or file of your data",
                self.config.name
            ),
        })
    }
}
