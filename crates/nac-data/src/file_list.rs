//! A list of the files of a folder with their lengths and digests, kept in it, so that damage is found later.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use fs_err as fs;
use nac_core::digest;
use serde::{Deserialize, Serialize};

use crate::{DataError, Progress};

/// Name of the list in its folder.
pub(crate) const NAME: &str = "nac-digests.json";

#[derive(Default, Serialize, Deserialize)]
struct FileList {
    /// By path within the folder, `/` between its parts.
    files: BTreeMap<String, Listed>,
}

#[derive(Serialize, Deserialize)]
struct Listed {
    bytes: u64,
    sha256: String,
}

/// Lists all files of a folder, and writes the list into it.
pub(crate) fn write(folder: &Path, progress: &dyn Progress) -> Result<(), DataError> {
    let mut list = FileList::default();
    let paths = files(folder)?;
    progress.start("listing files", Some(paths.len() as u64), "files");
    for (done, path) in paths.iter().enumerate() {
        let listed = Listed {
            bytes: fs::metadata(path)?.len(),
            sha256: sha256(path)?,
        };
        list.files.insert(name(folder, path), listed);
        progress.at(done as u64);
    }
    progress.finish();
    let text = serde_json::to_string_pretty(&list).map_err(std::io::Error::from)?;
    fs::write(folder.join(NAME), digest::seal_json(&format!("{text}\n")))?;
    Ok(())
}

/// Compares the files of a folder with the list in it: how many there are, none without a list.
///
/// # Errors
/// [`DataError::Damaged`] naming the first file that has another content, [`DataError::Io`] for one that is missing.
pub(crate) fn verify(
    folder: &Path,
    advice: &str,
    progress: &dyn Progress,
) -> Result<Option<usize>, DataError> {
    let path = folder.join(NAME);
    if !path.exists() {
        return Ok(None);
    }
    let damaged = |path: PathBuf, reason: String| DataError::Damaged {
        path,
        reason: format!("{reason}; {advice}"),
    };
    let text = fs::read_to_string(&path)?;
    let found = digest::check_text(&text).map_err(|e| damaged(path.clone(), e.to_string()))?;
    let list = serde_json::from_str::<FileList>(&text).map_err(|e| e.to_string());
    let list = match (list, found) {
        (Ok(list), Some(_)) => list,
        (Ok(_), None) => return Err(damaged(path, "damaged: it has no digest".into())),
        (Err(error), _) => return Err(damaged(path, error)),
    };
    progress.start("checking files", Some(list.files.len() as u64), "files");
    for (done, (name, listed)) in list.files.iter().enumerate() {
        let path = folder.join(name);
        let bytes = fs::metadata(&path)
            .map_err(|e| DataError::Io(std::io::Error::new(e.kind(), format!("{e}; {advice}"))))?
            .len();
        if bytes != listed.bytes {
            let reason = format!(
                "damaged: it has {bytes} bytes, it was written with {}",
                listed.bytes
            );
            return Err(damaged(path, reason));
        }
        let found = sha256(&path)?;
        if found != listed.sha256 {
            let expected = listed.sha256.clone();
            return Err(damaged(
                path,
                digest::Damaged { expected, found }.to_string(),
            ));
        }
        progress.at(done as u64);
    }
    progress.finish();
    Ok(Some(list.files.len()))
}

fn sha256(path: &Path) -> Result<String, DataError> {
    let mut hash = digest::Hasher::new();
    std::io::copy(&mut fs::File::open(path)?, &mut hash)?;
    Ok(hash.finish())
}

/// All files below a folder but the list itself.
fn files(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let (mut found, mut open) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                open.push(entry.path());
            } else if kind.is_file() && entry.file_name() != NAME {
                found.push(entry.path());
            }
        }
    }
    Ok(found)
}

/// Path within the folder, `/` between its parts.
fn name(folder: &Path, path: &Path) -> String {
    let parts = path.strip_prefix(folder).unwrap_or(path).components();
    let parts: Vec<_> = parts
        .map(|part| part.as_os_str().to_string_lossy().into_owned())
        .collect();
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Silent;

    #[test]
    fn every_kind_of_damage_is_named() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path();
        fs::create_dir_all(folder.join("a/b")).unwrap();
        fs::write(folder.join("a/b/one"), "first").unwrap();
        fs::write(folder.join("two"), "second").unwrap();
        let check = || verify(folder, "get it again", &Silent);
        assert_eq!(check().unwrap(), None);
        write(folder, &Silent).unwrap();
        assert_eq!(check().unwrap(), Some(2));
        // Files that came later are not its matter.
        fs::write(folder.join("three"), "third").unwrap();
        assert_eq!(check().unwrap(), Some(2));
        let fails = |part: &str| {
            let error = check().unwrap_err().to_string();
            assert!(
                error.contains(part) && error.contains("get it again"),
                "{error}"
            );
        };
        fs::write(folder.join("a/b/one"), "firsT").unwrap();
        fails("one: damaged");
        fs::write(folder.join("a/b/one"), "firs").unwrap();
        fails("it has 4 bytes");
        fs::remove_file(folder.join("a/b/one")).unwrap();
        fails("one");
        fs::write(folder.join("a/b/one"), "first").unwrap();
        check().unwrap();
        let list = fs::read_to_string(folder.join(NAME)).unwrap();
        fs::write(folder.join(NAME), list.replace("two", "twO")).unwrap();
        fails("nac-digests.json: damaged");
        fs::write(folder.join(NAME), list.replace(digest::MARK, "nac-sha255:")).unwrap();
        fails("nac-digests.json: damaged");
    }
}
