//! Entries of the zip archive, with bounds: an entry is never larger than the file.

use std::fmt::Display;
use std::fs::File;
use std::io::{BufReader, Read as _};
use std::path::{Path, PathBuf};

use zip::{CompressionMethod, ZipArchive};

use crate::weights::error::{Result, WeightsError};
use nac_train::TrainError;

/// Largest pickle. That of a large model has less than a megabyte.
const MOST_PICKLE: u64 = 64 << 20;

/// An opened archive.
#[derive(Debug)]
pub(super) struct Archive {
    path: PathBuf,
    zip: ZipArchive<BufReader<File>>,
    /// Folder that holds everything, with a slash at its end.
    root: String,
    /// Bytes of the file.
    pub(super) size: u64,
    /// Whether numbers are stored with their big end first.
    pub(super) big_endian: bool,
}

impl Archive {
    /// Opens a file.
    ///
    /// # Errors
    /// It is no zip archive, truncated, or not one that `torch.save` wrote.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let fail = |reason: String| WeightsError::File {
            path: path.to_owned(),
            reason,
        };
        let file = File::open(path).map_err(TrainError::io("read", path))?;
        let size = file.metadata().map_err(TrainError::io("read", path))?.len();
        let zip = ZipArchive::new(BufReader::new(file))
            .map_err(|error| fail(format!("not a whole zip archive: {error}")))?;
        let names: Vec<String> = zip
            .file_names()
            .filter_map(|name| Some(name.ok()?.into_owned()))
            .collect();
        let mut roots = names
            .iter()
            .filter_map(|name| name.strip_suffix("data.pkl"))
            .filter(|root| root.ends_with('/') && root.matches('/').count() == 1);
        let root = roots.next().ok_or_else(|| {
            fail("a zip archive, but not of torch.save: no <folder>/data.pkl in it".into())
        })?;
        if roots.next().is_some() {
            return Err(fail("more than one data.pkl in the archive".into()));
        }
        if names.contains(&format!("{root}constants.pkl")) {
            return Err(fail(
                "a TorchScript program; save the state_dict of the model instead".into(),
            ));
        }
        let mut archive = Self {
            path: path.to_owned(),
            root: root.to_owned(),
            zip,
            size,
            big_endian: false,
        };
        if names.contains(&format!("{root}byteorder")) {
            let order = archive.entry("byteorder", 16)?;
            archive.big_endian = match order.as_slice() {
                b"little" => false,
                b"big" => true,
                other => {
                    let shown = String::from_utf8_lossy(other).into_owned();
                    return Err(fail(format!("unknown byte order {shown:?}")));
                }
            };
        }
        Ok(archive)
    }

    /// The error that names this file.
    pub(super) fn fail(&self, reason: impl Display) -> WeightsError {
        WeightsError::File {
            path: self.path.clone(),
            reason: reason.to_string(),
        }
    }

    /// The bytes of `data.pkl`.
    ///
    /// # Errors
    /// It is damaged or larger than any pickle of tensors and plain containers.
    pub(super) fn pickle(&mut self) -> Result<Vec<u8>> {
        self.entry("data.pkl", MOST_PICKLE)
    }

    /// The bytes of the storage `key`, which must be `expected` many.
    ///
    /// # Errors
    /// There is no such storage, it has another size or is damaged.
    pub(super) fn storage(&mut self, key: &str, expected: u64) -> Result<Vec<u8>> {
        let name = format!("data/{key}");
        let bytes = self.entry(&name, self.size)?;
        if bytes.len() as u64 != expected {
            return Err(self.fail(format!(
                "storage {name} has {} bytes, {expected} are announced",
                bytes.len()
            )));
        }
        Ok(bytes)
    }

    fn entry(&mut self, name: &str, most: u64) -> Result<Vec<u8>> {
        let (path, full) = (self.path.clone(), format!("{}{name}", self.root));
        let fail = |reason: String| WeightsError::File {
            path: path.clone(),
            reason: format!("entry {full}: {reason}"),
        };
        let entry = self
            .zip
            .by_name(&full)
            .map_err(|error| fail(error.to_string()))?;
        if entry.compression() != CompressionMethod::Stored {
            return Err(fail("is compressed, torch.save never does that".into()));
        }
        let size = entry.size();
        if size > most || size > self.size {
            return Err(fail(format!(
                "announces {size} bytes, more than there can be"
            )));
        }
        let mut bytes = Vec::new();
        entry
            .take(most.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(|error| fail(format!("damaged: {error}")))?;
        if bytes.len() as u64 != size {
            return Err(fail(format!("damaged: {} of {size} bytes", bytes.len())));
        }
        Ok(bytes)
    }
}
