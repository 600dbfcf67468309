//! Small generated folders of files, to try out what a user's own files go through.
//!
//! Everything is drawn from a fixed seed: the same files on every machine.

mod folders;
mod images;
mod points;
mod table;
mod texts;

use std::path::Path;

use fs_err as fs;

use crate::DataError;

/// What to generate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sample {
    /// `<class>/*.png`: drawings of circles, squares and triangles, of several sizes.
    Images,
    /// `<class>/*.txt`: made-up reviews, good and bad.
    Texts,
    /// `<class>/*.off`: boxes, pyramids and spheres in any pose.
    Points,
    /// `table.csv`: two columns of numbers and the class, which is how far from the middle they are.
    Table,
}

/// Writes the sample into `folder`, which is made and must be empty if it exists. Gives the number of files.
///
/// # Errors
/// [`DataError::Config`] if the folder holds something; [`DataError::Io`].
pub fn write(sample: Sample, folder: &Path) -> Result<usize, DataError> {
    fs::create_dir_all(folder)?;
    if fs::read_dir(folder)?.next().is_some() {
        return Err(DataError::Config {
            field: folder.display().to_string(),
            reason: "is not empty; a sample is written into a folder of its own".into(),
        });
    }
    match sample {
        Sample::Images => images::write(folder),
        Sample::Texts => texts::write(folder),
        Sample::Points => points::write(folder),
        Sample::Table => table::write(folder),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_the_same_every_time_and_never_overwrite() {
        for sample in [Sample::Images, Sample::Texts, Sample::Points, Sample::Table] {
            let dir = tempfile::tempdir().unwrap();
            let [a, b] = ["a", "b"].map(|name| dir.path().join(name));
            let count = write(sample, &a).unwrap();
            assert_eq!(write(sample, &b).unwrap(), count);
            let mut files = Vec::new();
            let mut folders = vec![a.clone()];
            while let Some(folder) = folders.pop() {
                for entry in fs::read_dir(folder).unwrap() {
                    let path = entry.unwrap().path();
                    let list = if path.is_dir() {
                        &mut folders
                    } else {
                        &mut files
                    };
                    list.push(path);
                }
            }
            assert_eq!(files.len(), count);
            for file in files {
                let other = b.join(file.strip_prefix(&a).unwrap());
                assert_eq!(fs::read(&file).unwrap(), fs::read(other).unwrap());
            }
            let error = write(sample, &a).unwrap_err().to_string();
            assert!(error.contains("is not empty"), "{error}");
        }
    }
}
