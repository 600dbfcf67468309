//! What is published about each downloadable data set: addresses, sizes, SHA-256.

use std::path::Path;

use fs_err as fs;
use serde::{Deserialize, Serialize};

use super::checksum;
use crate::{DataDirs, DataError, Progress};

/// A data set that can be downloaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Name, as in [`DataConfig::name`](crate::DataConfig::name).
    pub name: String,
    /// What it is.
    pub title: String,
    /// Licence as its authors state it.
    pub licence: String,
    /// Page of its authors.
    pub homepage: String,
    /// Folder that the archive holds and in which the files are looked for.
    pub folder: String,
    /// The original archive.
    pub archive: ArchiveFile,
    /// The files that are used, relative to `folder`.
    pub files: Vec<DataFile>,
    /// Bytes that unpacking may write at most.
    pub max_unpacked_bytes: u64,
}

/// An archive to download.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArchiveFile {
    /// Name of the file; `.tar.gz`, `.tgz` or `.zip`.
    pub file_name: String,
    /// Length.
    pub bytes: u64,
    /// SHA-256, lower-case hexadecimal.
    pub sha256: String,
    /// Addresses, tried in order: the original first, then mirrors.
    pub urls: Vec<String>,
}

/// A file of a data set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataFile {
    /// Path within the folder.
    pub path: String,
    /// Length.
    pub bytes: u64,
    /// SHA-256, lower-case hexadecimal.
    pub sha256: String,
}

impl Source {
    /// Checks length and SHA-256 of every file.
    ///
    /// # Errors
    /// [`DataError::Io`] for a file that cannot be read, [`DataError::CorruptFile`] for another
    /// length, [`DataError::Checksum`] for another content.
    pub fn verify(&self, folder: &Path, progress: &dyn Progress) -> Result<(), DataError> {
        for file in &self.files {
            let path = folder.join(&file.path);
            let found = fs::metadata(&path)?.len();
            if found != file.bytes {
                return Err(DataError::CorruptFile {
                    path,
                    offset: found.min(file.bytes),
                    reason: format!("the file has {found} bytes, expected {}", file.bytes),
                });
            }
            checksum::check(&path, &file.sha256, progress)?;
        }
        Ok(())
    }

    /// Instructions for getting the data set by hand.
    #[must_use]
    pub fn instructions(&self, dirs: &DataDirs) -> String {
        let ArchiveFile {
            file_name,
            bytes,
            sha256,
            urls,
        } = &self.archive;
        let names: Vec<&str> = self.files.iter().map(|f| f.path.as_str()).collect();
        format!(
            "To get `{}` by hand:\n  1. download {file_name} ({bytes} bytes, SHA-256 {sha256}) from\n{}\n  \
             2. put it into {} (it is unpacked when it is first used), or unpack it there so that\n     \
             {} holds {}\n  3. or put it elsewhere and name that folder with --data-dir or {}.",
            self.name,
            urls.iter()
                .map(|u| format!("       {u}"))
                .collect::<Vec<_>>()
                .join("\n"),
            dirs.download_dir().display(),
            dirs.download_dir().join(&self.folder).display(),
            names.join(", "),
            crate::DATA_DIR_VARIABLE,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_and_addresses_have_their_form() {
        for source in crate::entries()
            .iter()
            .filter_map(|entry| match entry.origin {
                crate::source::Origin::Published(source) => Some(source()),
                _ => None,
            })
        {
            let digests = source
                .files
                .iter()
                .map(|f| &f.sha256)
                .chain([&source.archive.sha256]);
            for digest in digests {
                assert_eq!(digest.len(), 64);
                assert!(
                    digest
                        .bytes()
                        .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
                );
            }
            assert!(
                source
                    .archive
                    .urls
                    .iter()
                    .all(|u| u.ends_with(&source.archive.file_name))
            );
            let unpacked: u64 = source.files.iter().map(|f| f.bytes).sum();
            assert!(unpacked <= source.max_unpacked_bytes);
        }
    }

    #[test]
    fn the_recipe_names_address_folder_and_files() {
        let dirs = DataDirs::new(Some("my-data".into()), None, "cache".into());
        let instructions = crate::source::cifar10::source().instructions(&dirs);
        for part in [
            "cs.toronto.edu",
            "my-data",
            "test_batch.bin",
            "NAC_DATA_DIR",
            "c4a38c50",
        ] {
            assert!(
                instructions.contains(part),
                "{part} not in:\n{instructions}"
            );
        }
    }
}
