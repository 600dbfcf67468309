//! A folder of files for each class.

use std::path::Path;

use fs_err as fs;

use crate::DataError;

/// Files of each class, or rows of a table.
pub(super) const PER_CLASS: usize = 60;

/// Writes `PER_CLASS` files for each class, `<class>/<number>.<extension>`.
pub(super) fn folders(
    folder: &Path,
    classes: &[&str],
    extension: &str,
    content: impl Fn(usize, u64) -> Result<Vec<u8>, DataError>,
) -> Result<usize, DataError> {
    for (class, name) in classes.iter().enumerate() {
        fs::create_dir(folder.join(name))?;
        for number in 0..PER_CLASS {
            let path = folder.join(name).join(format!("{number:03}.{extension}"));
            fs::write(path, content(class, number as u64)?)?;
        }
    }
    Ok(classes.len() * PER_CLASS)
}
