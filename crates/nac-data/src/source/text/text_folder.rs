//! The user's own texts: a folder for each class with `.txt` files.
//!
//! Layouts: `<class>/*.txt`; `train/<class>/*.txt` with `test` and `val` beside it; or `<class>/train/*.txt` with `test`
//! beside it. Without a test part, a fifth of each class becomes one, by a fixed rule that no seed changes.

use std::path::Path;

use super::read;
use super::texts::{self, Parts};
use crate::source::class_folders;
use crate::source::{Entry, Origin, Request};
use crate::{DataError, DatasetInfo, Preprocessing, Splits, TextLevel};

/// For the registry.
pub const ENTRY: Entry = Entry {
    name: "text-folder",
    title: "your own texts: a folder for each class with .txt files",
    licence: "your own",
    origin: Origin::Own,
    counts: None,
    describe: |request| describe(ENTRY.name, &request.own_path()?, request),
    open: |request| open(ENTRY.name, &request.own_path()?, request),
};

/// Files that are texts.
pub const EXTENSIONS: [&str; 1] = ["txt"];

/// What the examples look like; reads the files only if their words are wanted.
pub(super) fn describe(
    name: &str,
    root: &Path,
    request: &Request<'_>,
) -> Result<DatasetInfo, DataError> {
    let settings = &request.config.text;
    read::check(settings)?;
    if settings.level == TextLevel::Words {
        return Ok(open(name, root, request)?.train.info().clone());
    }
    let classes = class_folders::list(root, &EXTENSIONS)?.classes;
    let how = Preprocessing::Bytes {};
    Ok(texts::info(name, &classes, settings.max_len, how))
}

/// Reads every file into memory.
///
/// # Errors
/// [`DataError::Config`] for a folder in none of the layouts; the first file that cannot be read or is empty, unless
/// `data.skip_unreadable` is set.
pub(super) fn open(name: &str, root: &Path, request: &Request<'_>) -> Result<Splits, DataError> {
    let settings = &request.config.text;
    read::check(settings)?;
    let found = class_folders::list(root, &EXTENSIONS)?;
    let part = |part: &str, files| read::files(part, files, request);
    let parts = Parts {
        train: part("training", found.train)?,
        validation: found
            .validation
            .map(|files| part("validation", files))
            .transpose()?,
        test: found.test.map(|files| part("test", files)).transpose()?,
    };
    texts::splits(name, &found.classes, settings, parts)
}
