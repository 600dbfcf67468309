//! Files that were checked before: a note in the cache with length and time of change, so that digests are computed once.

use std::path::Path;
use std::time::UNIX_EPOCH;

use fs_err as fs;
use sha2::{Digest, Sha256};

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
        let name: String = Sha256::digest(note.as_bytes())
            .iter()
            .take(16)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let place = cache.join(FOLDER).join(name);
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
}
