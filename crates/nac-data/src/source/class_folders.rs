//! Files in folders named by class, in three layouts.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use fs_err as fs;

use crate::DataError;

/// A file and its class.
pub(crate) type Labelled = (PathBuf, u32);

/// The files of each part; classes are in the order of their names.
pub(crate) struct Listing {
    pub(crate) classes: Vec<String>,
    pub(crate) train: Vec<Labelled>,
    pub(crate) validation: Option<Vec<Labelled>>,
    pub(crate) test: Option<Vec<Labelled>>,
}

const TRAIN: &[&str] = &["train"];
const VALIDATION: &[&str] = &["val", "valid", "validation"];
const TEST: &[&str] = &["test"];

/// Lists `root/<part>/<class>/*`, `root/<class>/<part>/*` or `root/<class>/*`, files with one of `extensions` only.
///
/// # Errors
/// [`DataError::Io`]; [`DataError::Config`] if there is no class, or one without a training file.
pub(crate) fn list(root: &Path, extensions: &[&str]) -> Result<Listing, DataError> {
    let folders = folders(root)?;
    let parts_first = folders
        .iter()
        .any(|(name, _)| TRAIN.contains(&name.as_str()));
    let classes: Vec<String> = if parts_first {
        let parts = folders.iter().filter(|(name, _)| {
            [TRAIN, VALIDATION, TEST]
                .iter()
                .any(|part| part.contains(&name.as_str()))
        });
        let mut names = BTreeSet::new();
        for (_, folder) in parts {
            names.extend(self::folders(folder)?.into_iter().map(|(name, _)| name));
        }
        names.into_iter().collect()
    } else {
        folders.into_iter().map(|(name, _)| name).collect()
    };
    if classes.is_empty() {
        return Err(refused(root, "there is no folder with the name of a class"));
    }
    let parts_within = !parts_first && root.join(&classes[0]).join("train").is_dir();
    let part = |names: &[&str]| -> Result<Option<Vec<Labelled>>, DataError> {
        let mut files = Vec::new();
        for (class, name) in (0..).zip(&classes) {
            for part in names {
                let folder = match (parts_first, parts_within) {
                    (true, _) => root.join(part).join(name),
                    (_, true) => root.join(name).join(part),
                    _ => root.join(name),
                };
                if folder.is_dir() {
                    let found = files_in(&folder, extensions)?;
                    files.extend(found.into_iter().map(|file| (file, class)));
                }
            }
        }
        Ok(Some(files).filter(|files| !files.is_empty()))
    };
    let (validation, test) = if parts_first || parts_within {
        (part(VALIDATION)?, part(TEST)?)
    } else {
        (None, None)
    };
    let train = part(TRAIN)?.unwrap_or_default();
    for (class, name) in (0..).zip(&classes) {
        if !train.iter().any(|&(_, c)| c == class) {
            let reason = format!(
                "class `{name}` has no training file ({})",
                extensions.join(", ")
            );
            return Err(refused(root, &reason));
        }
    }
    Ok(Listing {
        classes,
        train,
        validation,
        test,
    })
}

fn refused(root: &Path, reason: &str) -> DataError {
    DataError::Config {
        field: "data.path".into(),
        reason: format!("{}: {reason}", root.display()),
    }
}

/// Folders within a folder that are not hidden, by name.
///
/// # Errors
/// [`DataError::Io`]; [`DataError::Config`] for a name that is no UTF-8.
pub(crate) fn folders(folder: &Path) -> Result<Vec<(String, PathBuf)>, DataError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if !entry.path().is_dir() || name.as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let name = name.into_string().map_err(|name| {
            refused(
                folder,
                &format!("the name {name:?} of a class is not UTF-8"),
            )
        })?;
        found.push((name, entry.path()));
    }
    found.sort_unstable();
    Ok(found)
}

/// Files with one of `extensions` that are not hidden, by name.
pub(crate) fn files_in(folder: &Path, extensions: &[&str]) -> Result<Vec<PathBuf>, DataError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let extension = path
            .extension()
            .unwrap_or_default()
            .to_string_lossy()
            .to_lowercase();
        let hidden = path
            .file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if !hidden && extensions.contains(&extension.as_str()) && path.is_file() {
            found.push(path);
        }
    }
    found.sort_unstable();
    Ok(found)
}
