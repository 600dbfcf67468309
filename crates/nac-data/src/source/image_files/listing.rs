//! Image files in folders.

use std::path::{Path, PathBuf};

use fs_err as fs;

use crate::DataError;
pub(crate) use crate::source::class_folders::folders;

/// Endings of image files, in lower case.
const EXTENSIONS: [&str; 10] = [
    "jpg", "jpeg", "png", "bmp", "gif", "ppm", "pgm", "pbm", "webp", "pnm",
];
/// Folders within folders that are looked into.
const MAX_DEPTH: usize = 8;

/// Image files, and how many other files were among them.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) images: Vec<PathBuf>,
    pub(crate) others: usize,
}

/// Image files in a folder and in the folders within it, in the order of their paths. Hidden files do not count.
///
/// # Errors
/// [`DataError::Io`]; [`DataError::Config`] for more than eight levels of folders.
pub(crate) fn images_in(folder: &Path) -> Result<Found, DataError> {
    let mut found = Found::default();
    collect(folder, 0, &mut found)?;
    found.images.sort_unstable();
    Ok(found)
}

fn collect(folder: &Path, depth: usize, found: &mut Found) -> Result<(), DataError> {
    if depth > MAX_DEPTH {
        let reason = format!("more than {MAX_DEPTH} folders within each other");
        return Err(refused(folder, &reason));
    }
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let path = entry.path();
        // Links are followed.
        let kind = entry.file_type()?;
        if kind.is_dir() || (kind.is_symlink() && path.is_dir()) {
            collect(&path, depth + 1, found)?;
        } else if is_image(&path) {
            found.images.push(path);
        } else {
            found.others += 1;
        }
    }
    Ok(())
}

fn is_image(path: &Path) -> bool {
    let extension = path.extension().and_then(|e| e.to_str());
    extension.is_some_and(|e| EXTENSIONS.iter().any(|known| e.eq_ignore_ascii_case(known)))
}

/// Names of the folders within a folder: its classes. Two that differ in letter case only are refused, as they would
/// be one folder on other systems.
///
/// # Errors
/// As [`folders`]; [`DataError::Config`] without folders or for two of the same name.
pub(crate) fn classes_of(folder: &Path) -> Result<Vec<String>, DataError> {
    let names: Vec<String> = folders(folder)?.into_iter().map(|(name, _)| name).collect();
    if names.is_empty() {
        let reason = "there is no folder with the name of a class";
        return Err(refused(folder, reason));
    }
    let mut seen = std::collections::HashMap::new();
    for name in &names {
        if let Some(other) = seen.insert(name.to_lowercase(), name) {
            let reason = format!("the classes `{other}` and `{name}` differ in letter case only");
            return Err(refused(folder, &reason));
        }
    }
    Ok(names)
}

fn refused(folder: &Path, reason: &str) -> DataError {
    DataError::Config {
        field: "data.path".into(),
        reason: format!("{}: {reason}", folder.display()),
    }
}
