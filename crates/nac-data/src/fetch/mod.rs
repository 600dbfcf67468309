//! Getting data: found on disk, else downloaded, checked, unpacked and put in place.
//!
//! [`manifest`] (what is published) → [`locate`] (is it here?) → [`download`] → [`checksum`] →
//! [`extract`]. [`get_source`] does all of it. A data set appears under
//! its name only when it is complete; concurrent runs wait for each other; nothing that exists is
//! overwritten.

pub mod checksum;
pub mod download;
pub mod extract;
pub mod locate;
pub mod manifest;
mod verified;

use std::path::{Path, PathBuf};

use fs_err as fs;

use self::locate::Location;
use self::manifest::Source;
use verified::check_archive;
pub(crate) use verified::verify_once;

use crate::file_list;
use crate::storage::FolderLock;
use crate::{DataDirs, DataError, Progress};

/// Entries an archive may hold.
const MAX_ENTRIES: usize = 1_000_000;

/// How a data set came to be here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Got {
    /// It was already in this folder; its files have the published SHA-256.
    Found(PathBuf),
    /// It was unpacked into this folder from an archive on this machine.
    Unpacked(PathBuf),
    /// It was downloaded and unpacked into this folder.
    Downloaded(PathBuf),
    /// It is part of this crate.
    Bundled,
    /// It is generated when it is first used.
    Generated,
}

/// Makes a published data set available in [`DataDirs::download_dir`], if it is not in `dirs` already.
///
/// Of an archive without a published digest, [`DataDirs::cache`] keeps the SHA-256 that it has when it is first used; later
/// it must be the same.
///
/// `mirrors` are tried before the addresses of the manifest; what they send must have the
/// published SHA-256.
///
/// # Errors
/// [`DataError::Download`] with instructions for doing it by hand; errors of checking, unpacking and writing.
pub fn get_source(
    source: &Source,
    dirs: &DataDirs,
    mirrors: &[String],
    progress: &dyn Progress,
) -> Result<Got, DataError> {
    if let Some(Location::Folder(folder)) = locate::locate(source, dirs) {
        source.verify(&folder, progress)?;
        return Ok(Got::Found(folder));
    }
    let into = dirs.download_dir();
    let lock = FolderLock::take(into, progress)?;
    // Another run may have put it in place while this one waited for the lock.
    match locate::locate(source, dirs) {
        Some(Location::Folder(folder)) => {
            source.verify(&folder, progress)?;
            return Ok(Got::Found(folder));
        }
        Some(Location::Archive(archive)) => {
            check_archive(source, &archive, dirs.cache(), progress)?;
            return unpack(source, &archive, into, &lock, progress).map(Got::Unpacked);
        }
        None => {}
    }
    let archive = into.join(&source.archive.file_name);
    let urls: Vec<String> = mirrors
        .iter()
        .chain(&source.archive.urls)
        .cloned()
        .collect();
    let expected = download::Expected {
        bytes: source.archive.bytes,
        digest: &source.archive.digest,
    };
    download::download(&urls, &archive, expected, progress).map_err(|error| match error {
        DataError::Download { name, attempts, .. } => DataError::Download {
            name,
            attempts,
            instructions: source.instructions(dirs),
        },
        other => other,
    })?;
    check_archive(source, &archive, dirs.cache(), progress)?;
    let folder = unpack(source, &archive, into, &lock, progress)?;
    // The archive is ours, and its files are in place.
    fs::remove_file(&archive)?;
    Ok(Got::Downloaded(folder))
}

/// Unpacks an archive of a data set into `<into>/<folder>` and checks every file before the
/// folder appears, with a list of all its files and their digests, which [`check`](crate::check()) compares. The archive stays. Of an archive without a published digest, `into` keeps the SHA-256 that it has when it
/// is first used; later it must be the same.
///
/// # Errors
/// [`DataError::Checksum`] for another archive; errors of unpacking and writing.
pub fn install(
    source: &Source,
    archive: &Path,
    into: &Path,
    progress: &dyn Progress,
) -> Result<PathBuf, DataError> {
    let lock = FolderLock::take(into, progress)?;
    let folder = into.join(&source.folder);
    if folder.is_dir() {
        source.verify(&folder, progress)?;
        return Ok(folder);
    }
    check_archive(source, archive, into, progress)?;
    unpack(source, archive, into, &lock, progress)
}

fn unpack(
    source: &Source,
    archive: &Path,
    into: &Path,
    lock: &FolderLock,
    progress: &dyn Progress,
) -> Result<PathBuf, DataError> {
    let staging = lock.staging()?;
    let limits = extract::Limits {
        bytes: source.max_unpacked_bytes,
        entries: MAX_ENTRIES,
    };
    extract::extract(archive, staging.path(), limits, progress)?;
    let unpacked = staging.path().join(&source.folder);
    source.verify(&unpacked, progress)?;
    file_list::write(&unpacked, progress)?;
    let folder = into.join(&source.folder);
    lock.put_in_place(&unpacked, &folder)?;
    Ok(folder)
}

/// The error for a data set that was not found, with instructions.
pub(crate) fn not_found(source: &Source, dirs: &DataDirs) -> DataError {
    DataError::NotFound {
        name: source.name.clone(),
        searched: dirs.search(),
        instructions: source.instructions(dirs),
    }
}

/// A line of [`list`](crate::list).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// Name.
    pub name: String,
    /// What it is.
    pub title: String,
    /// Bytes to download; 0 if none are needed.
    pub bytes: u64,
    /// Licence as its authors state it.
    pub licence: String,
    /// Where it is; `None` if it is not on this machine.
    pub found: Option<Found>,
}

/// Where a listed data set is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// In this folder.
    Folder(PathBuf),
    /// In this archive, unpacked when it is first used.
    Archive(PathBuf),
    /// In this crate.
    Bundled,
    /// Generated when it is first used.
    Generated,
    /// The user's own files, wherever `data.path` says.
    Own,
}
