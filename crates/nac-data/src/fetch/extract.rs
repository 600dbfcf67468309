//! Unpacks untrusted `.tar.gz` and `.zip` archives.
//!
//! Refused: names that are absolute or hold `..` or a backslash, links and devices of every kind,
//! a file that occurs twice, more bytes or entries than allowed. Sizes are counted as they are
//! written, whatever the archive says. Files go below a folder that the caller made for this and
//! discards after an error.

use std::io::{BufReader, Read, Write};
use std::path::{Component, Path, PathBuf};

use flate2::read::MultiGzDecoder;
use fs_err as fs;

use crate::{DataError, Progress};

/// How much unpacking may write.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of all files together.
    pub bytes: u64,
    /// Files and folders.
    pub entries: usize,
}

/// Unpacks an archive into an existing folder; the kind follows from the file name.
///
/// # Errors
/// [`DataError::UnsafeArchive`] naming the entry refused, [`DataError::CorruptArchive`] if the
/// archive is damaged or of another kind, [`DataError::Io`] if a file cannot be written.
pub fn extract(
    archive: &Path,
    into: &Path,
    limits: Limits,
    progress: &dyn Progress,
) -> Result<(), DataError> {
    let name = archive
        .file_name()
        .map(|n| n.to_string_lossy().to_lowercase())
        .unwrap_or_default();
    progress.start(&format!("unpacking {name}"), None, "bytes");
    let mut out = Output {
        archive,
        into,
        limits,
        bytes: 0,
        entries: 0,
        progress,
    };
    if name.ends_with(".tar.gz") || name.ends_with(".tgz") {
        out.tar_gz()?;
    } else if name.ends_with(".zip") {
        out.zip()?;
    } else {
        return Err(out.corrupt("expected a file name that ends in .tar.gz, .tgz or .zip"));
    }
    progress.finish();
    Ok(())
}

struct Output<'a> {
    archive: &'a Path,
    into: &'a Path,
    limits: Limits,
    bytes: u64,
    entries: usize,
    progress: &'a dyn Progress,
}

impl Output<'_> {
    fn tar_gz(&mut self) -> Result<(), DataError> {
        let file = BufReader::new(fs::File::open(self.archive)?);
        let mut tar = tar::Archive::new(MultiGzDecoder::new(file));
        for entry in tar.entries().map_err(|e| self.corrupt(e))? {
            let mut entry = entry.map_err(|e| self.corrupt(e))?;
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            let kind = entry.header().entry_type();
            if kind.is_pax_global_extensions() {
                continue;
            }
            if kind.is_dir() {
                self.folder(&name)?;
            } else if kind.is_file() {
                self.file(&name, &mut entry)?;
            } else {
                return Err(self.refuse(&name, "it is a link or a device, not a file or folder"));
            }
        }
        Ok(())
    }

    fn zip(&mut self) -> Result<(), DataError> {
        let file = BufReader::new(fs::File::open(self.archive)?);
        let mut zip = zip::ZipArchive::new(file).map_err(|e| self.corrupt(e))?;
        for index in 0..zip.len() {
            let mut entry = zip.by_index(index).map_err(|e| self.corrupt(e))?;
            let name = entry.name().map_err(|e| self.corrupt(e))?.into_owned();
            // Kind bits of a Unix mode, if the archive has one: 8 is a file, 4 a folder.
            let unix_kind = entry.unix_mode().map_or(0, |mode| (mode & 0o170_000) >> 12);
            if !matches!(unix_kind, 0 | 4 | 8) {
                return Err(self.refuse(&name, "it is a link or a device, not a file or folder"));
            }
            if entry.is_dir() {
                self.folder(&name)?;
            } else {
                self.file(&name, &mut entry)?;
            }
        }
        Ok(())
    }

    fn folder(&mut self, name: &str) -> Result<(), DataError> {
        let path = self.target(name)?;
        fs::create_dir_all(path)?;
        Ok(())
    }

    fn file(&mut self, name: &str, from: &mut dyn Read) -> Result<(), DataError> {
        let path = self.target(name)?;
        if path == self.into {
            return Err(self.refuse(name, "a file needs a name"));
        }
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        if path.exists() {
            return Err(self.refuse(name, "it occurs twice"));
        }
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&path)?;
        let mut block = vec![0; 1 << 16];
        loop {
            let read = from.read(&mut block).map_err(|e| self.corrupt(e))?;
            if read == 0 {
                break;
            }
            self.bytes += read as u64;
            if self.bytes > self.limits.bytes {
                let reason = format!("the archive holds more than {} bytes", self.limits.bytes);
                return Err(self.refuse(name, &reason));
            }
            file.write_all(&block[..read])?;
            self.progress.at(self.bytes);
        }
        file.sync_all()?;
        Ok(())
    }

    /// Where an entry goes, if its name stays below the folder.
    fn target(&mut self, name: &str) -> Result<PathBuf, DataError> {
        self.entries += 1;
        if self.entries > self.limits.entries {
            let reason = format!(
                "the archive holds more than {} entries",
                self.limits.entries
            );
            return Err(self.refuse(name, &reason));
        }
        if name.contains(['\\', '\0']) || name.contains('\u{fffd}') {
            return Err(self.refuse(name, "its name holds a backslash or is not UTF-8"));
        }
        let mut path = self.into.to_path_buf();
        for component in Path::new(name).components() {
            match component {
                Component::Normal(part) => path.push(part),
                Component::CurDir => {}
                _ => return Err(self.refuse(name, "its name leads out of the folder")),
            }
        }
        Ok(path)
    }

    fn refuse(&self, entry: &str, reason: &str) -> DataError {
        DataError::UnsafeArchive {
            archive: self.archive.into(),
            entry: entry.into(),
            reason: reason.into(),
        }
    }

    fn corrupt(&self, reason: impl std::fmt::Display) -> DataError {
        DataError::CorruptArchive {
            archive: self.archive.into(),
            reason: reason.to_string(),
        }
    }
}

#[cfg(test)]
mod tests;
