//! What is published about each downloadable data set: addresses, sizes, digests.

use std::path::Path;

use fs_err as fs;
use serde::{Deserialize, Serialize};

use super::checksum;
use crate::error::digest_kind;
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
    /// SHA-256 or MD5, lower-case hexadecimal; their lengths tell them apart. Empty where none is published: the digest of
    /// the first archive that is used is then kept for the next.
    pub digest: String,
    /// Addresses, tried in order: the original first, then mirrors.
    pub urls: Vec<String>,
}

/// A file of a data set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataFile {
    /// Path within the folder.
    pub path: String,
    /// Length; 0 where it is not known.
    pub bytes: u64,
    /// SHA-256 or MD5, lower-case hexadecimal; empty where none is published.
    pub digest: String,
}

impl DataFile {
    /// Checks the length, if it is known.
    ///
    /// # Errors
    /// [`DataError::Io`] for a missing file, [`DataError::CorruptFile`] for another length.
    pub(crate) fn check_length(&self, folder: &Path) -> Result<fs::File, DataError> {
        let path = folder.join(&self.path);
        let file = fs::File::open(&path)?;
        let found = file.metadata()?.len();
        if self.bytes != 0 && found != self.bytes {
            return Err(DataError::CorruptFile {
                path,
                offset: found.min(self.bytes),
                reason: format!("the file has {found} bytes, expected {}", self.bytes),
            });
        }
        Ok(file)
    }

    /// Checks length and digest, as far as they are known.
    ///
    /// # Errors
    /// As [`check_length`](Self::check_length); [`DataError::Checksum`] for another content.
    pub(crate) fn verify(&self, folder: &Path, progress: &dyn Progress) -> Result<(), DataError> {
        self.check_length(folder)?;
        if self.digest.is_empty() {
            return Ok(());
        }
        checksum::check(&folder.join(&self.path), &self.digest, progress)
    }
}

impl Source {
    /// Checks length and digest of every file, as far as they are known.
    ///
    /// # Errors
    /// [`DataError::Io`] for a file that cannot be read, [`DataError::CorruptFile`] for another
    /// length, [`DataError::Checksum`] for another content.
    pub fn verify(&self, folder: &Path, progress: &dyn Progress) -> Result<(), DataError> {
        self.files
            .iter()
            .try_for_each(|file| file.verify(folder, progress))
    }

    /// Instructions for getting the data set by hand.
    #[must_use]
    pub fn instructions(&self, dirs: &DataDirs) -> String {
        let ArchiveFile {
            file_name,
            bytes,
            digest,
            urls,
        } = &self.archive;
        let digest = match digest.as_str() {
            "" => "no digest is published".to_owned(),
            digest => format!("{} {digest}", digest_kind(digest)),
        };
        let names: Vec<&str> = self.files.iter().map(|f| f.path.as_str()).collect();
        format!(
            "To get `{}` by hand:\n  1. download {file_name} ({bytes} bytes, {digest}) from\n{}\n  \
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
                .map(|f| &f.digest)
                .chain([&source.archive.digest]);
            assert!(!source.archive.digest.is_empty());
            for digest in digests {
                assert!(matches!(digest.len(), 0 | 32 | 64));
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
