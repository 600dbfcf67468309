//! Finds data sets that are on this machine already, in their original layouts.

use std::path::{Path, PathBuf};

use super::manifest::Source;
use crate::DataDirs;

/// Where a data set is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// Folder with its files.
    Folder(PathBuf),
    /// Its original archive, not unpacked.
    Archive(PathBuf),
}

/// Looks in the folders of `dirs`, in order, for `<dir>/<folder>/` or for `<dir>` being that
/// folder itself; only then for the archive in one of them.
///
/// A folder counts if it has any of the files, so that an error can name the missing ones.
#[must_use]
pub fn locate(source: &Source, dirs: &DataDirs) -> Option<Location> {
    let has_any = |folder: &Path| {
        source
            .files
            .iter()
            .any(|file| folder.join(&file.path).is_file())
    };
    let search = dirs.search();
    let folders = search
        .iter()
        .flat_map(|dir| [dir.join(&source.folder), dir.clone()]);
    if let Some(folder) = folders.into_iter().find(|folder| has_any(folder)) {
        return Some(Location::Folder(folder));
    }
    let mut archives = search.iter().map(|dir| dir.join(&source.archive.file_name));
    archives
        .find(|archive| archive.is_file())
        .map(Location::Archive)
}

#[cfg(test)]
mod tests {
    use fs_err as fs;

    use super::*;

    #[test]
    fn folders_come_before_archives_and_earlier_folders_first() {
        let root = tempfile::tempdir().unwrap();
        let [a, b, c] = ["a", "b", "c"].map(|name| root.path().join(name));
        [&a, &b, &c]
            .iter()
            .for_each(|dir| fs::create_dir(dir).unwrap());
        let source = crate::source::cifar10::source();
        let dirs = DataDirs::new(Some(a.clone()), Some(b.clone()), c.clone());
        assert_eq!(locate(&source, &dirs), None);

        let archive = a.join("cifar-10-binary.tar.gz");
        fs::write(&archive, "").unwrap();
        assert_eq!(locate(&source, &dirs), Some(Location::Archive(archive)));

        let inner = c.join("cifar-10-batches-bin");
        fs::create_dir(&inner).unwrap();
        fs::write(inner.join("test_batch.bin"), "").unwrap();
        assert_eq!(locate(&source, &dirs), Some(Location::Folder(inner)));

        fs::write(b.join("data_batch_1.bin"), "").unwrap();
        assert_eq!(locate(&source, &dirs), Some(Location::Folder(b)));
    }
}
