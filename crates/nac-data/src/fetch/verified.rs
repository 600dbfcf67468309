//! Files that were checked before: a note in the cache with length and time of change, so that digests are computed once.

use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use fs_err as fs;
use sha2::{Digest, Sha256};

use super::checksum;
use super::manifest::{DataFile, Source};
use crate::{DataError, Progress};

/// Folder of the notes within the cache.
const FOLDER: &str = ".verified";

/// Checks the files of a data set that have a published digest, unless they were checked before and have not changed
/// since. A note that cannot be written is no error; the check is then repeated the next time.
///
/// # Errors
/// [`DataError::Io`] for a missing file, [`DataError::CorruptFile`] for another length, [`DataError::Checksum`].
pub(crate) fn verify_once(
    source: &Source,
    folder: &Path,
    cache: &Path,
    progress: &dyn Progress,
) -> Result<(), DataError> {
    for file in &source.files {
        let note = note(file, folder)?;
        if file.digest.is_empty() {
            continue;
        }
        let place = place(cache, &note);
        if fs::read_to_string(&place).is_ok_and(|known| known == note) {
            continue;
        }
        file.verify(folder, progress)?;
        if fs::create_dir_all(cache.join(FOLDER)).is_ok() {
            // Concurrent runs write the same bytes.
            fs::write(&place, note).ok();
        }
    }
    Ok(())
}

/// Checks an archive: against its published digest; without one, against the SHA-256 that the archive of this data set and
/// name had when it was first used with this cache, which is kept beside the notes.
///
/// # Errors
/// [`DataError::Io`], [`DataError::Checksum`].
pub(super) fn check_archive(
    source: &Source,
    archive: &Path,
    cache: &Path,
    progress: &dyn Progress,
) -> Result<(), DataError> {
    if !source.archive.digest.is_empty() {
        return checksum::check(archive, &source.archive.digest, progress);
    }
    let name = format!("archive {} of {}", source.archive.file_name, source.name);
    let place = place(cache, &name);
    let found = checksum::sha256(archive, progress)?;
    let known = fs::read_to_string(&place).unwrap_or_default();
    match known.strip_prefix(&name).map(str::trim) {
        Some(known) if known == found => Ok(()),
        Some(known) => Err(DataError::Checksum {
            path: archive.into(),
            expected: format!("{known}, as when it was first used ({})", place.display()),
            found,
        }),
        None => {
            progress.note(&format!(
                "no digest of {} is published; its SHA-256 {found} is kept",
                source.archive.file_name
            ));
            if fs::create_dir_all(cache.join(FOLDER)).is_ok() {
                fs::write(&place, format!("{name}\n{found}\n")).ok();
            }
            Ok(())
        }
    }
}

/// The file of a note.
fn place(cache: &Path, note: &str) -> PathBuf {
    let name: String = Sha256::digest(note.as_bytes())
        .iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    cache.join(FOLDER).join(name)
}

/// Path, length, time of change and digest of a file.
fn note(file: &DataFile, folder: &Path) -> Result<String, DataError> {
    let metadata = file.check_length(folder)?.metadata()?;
    let path = fs::canonicalize(folder.join(&file.path))?;
    let changed = metadata.modified().ok();
    let changed = changed.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    Ok(format!(
        "{}\n{} bytes\nchanged {}\n{}\n",
        path.display(),
        metadata.len(),
        changed.map_or(0, |time| time.as_nanos()),
        file.digest
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DataConfig, DataDirs, Silent};

    #[test]
    fn zeros_of_the_right_length_do_not_open() {
        for (name, source) in [
            ("cifar10", crate::source::cifar10::source()),
            ("cifar100", crate::source::cifar100::source()),
        ] {
            let root = tempfile::tempdir().unwrap();
            for file in &source.files {
                let empty = fs::File::create(root.path().join(&file.path)).unwrap();
                empty.set_len(file.bytes).unwrap();
            }
            for by_path in [false, true] {
                let config = DataConfig {
                    name: name.into(),
                    path: by_path.then(|| root.path().into()),
                    ..DataConfig::default()
                };
                let dirs = DataDirs::new(Some(root.path().into()), None, root.path().join("c"));
                let error = crate::open(&config, &dirs, 0).unwrap_err();
                assert!(matches!(error, DataError::Checksum { .. }), "{error}");
            }
        }
    }

    #[test]
    fn a_check_is_repeated_only_after_a_change() {
        let root = tempfile::tempdir().unwrap();
        let mut source = crate::source::cifar10::source();
        source.files.truncate(1);
        source.files[0].bytes = 3;
        source.files[0].digest =
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad".into();
        let path = root.path().join(&source.files[0].path);
        let cache = root.path().join("cache");
        let check = || verify_once(&source, root.path(), &cache, &Silent);
        fs::write(&path, "abc").unwrap();
        check().unwrap();
        assert_eq!(fs::read_dir(cache.join(FOLDER)).unwrap().count(), 1);
        // The note answers for a file that looks unchanged.
        let time = fs::metadata(&path).unwrap().modified().unwrap();
        fs::write(&path, "abd").unwrap();
        let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.into_file().set_modified(time).unwrap();
        check().unwrap();
        let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
        let later = time + std::time::Duration::from_secs(5);
        file.into_file().set_modified(later).unwrap();
        assert!(check().is_err());
    }

    /// A zip with one file of `content`.
    fn archive(path: &Path, content: &[u8]) {
        use std::io::Write as _;
        let mut zip = zip::ZipWriter::new(std::fs::File::create(path).unwrap());
        let options = zip::write::SimpleFileOptions::default();
        zip.start_file("set/a.txt", options).unwrap();
        zip.write_all(content).unwrap();
        zip.finish().unwrap();
    }

    #[test]
    fn an_archive_without_a_digest_must_stay_the_same() {
        let root = tempfile::tempdir().unwrap();
        let [cache, data] = ["cache", "data"].map(|name| root.path().join(name));
        fs::create_dir(&data).unwrap();
        let mut source = crate::source::cifar10::source();
        source.folder = "set".into();
        (source.archive.file_name, source.archive.digest) = ("set.zip".into(), String::new());
        source.files.truncate(1);
        let file = &mut source.files[0];
        (file.path, file.bytes, file.digest) = ("a.txt".into(), 0, String::new());
        assert!(
            source
                .instructions(&DataDirs::new(None, None, cache.clone()))
                .contains("no digest is published")
        );

        let path = data.join("set.zip");
        let install = || crate::fetch::install(&source, &path, &cache, &Silent);
        archive(&path, b"first");
        let folder = install().unwrap();
        assert_eq!(fs::read(folder.join("a.txt")).unwrap(), b"first");
        // The same archive is unpacked again.
        fs::remove_dir_all(&folder).unwrap();
        install().unwrap();
        // Another one under its name is refused before anything is unpacked.
        fs::remove_dir_all(&folder).unwrap();
        archive(&path, b"other");
        let error = install().unwrap_err();
        assert!(matches!(error, DataError::Checksum { .. }), "{error}");
        assert!(error.to_string().contains("first used"), "{error}");
        assert!(!folder.exists());
        // `get` asks the same notes.
        let dirs = DataDirs::new(Some(data.clone()), None, cache.clone());
        assert!(crate::fetch::get_source(&source, &dirs, &[], &Silent).is_err());
        archive(&path, b"first");
        crate::fetch::get_source(&source, &dirs, &[], &Silent).unwrap();
    }
}
