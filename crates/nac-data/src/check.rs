//! [`check`]: every example of a data set read once, and what was found.

use std::fmt;

use rayon::prelude::*;

use crate::fetch::locate::{self, Location};
use crate::registry::{entry, open_with_progress};
use crate::source::Origin;
use crate::{DataConfig, DataDirs, DataError, Dataset, Progress};

/// Examples between two reports.
const BLOCK: usize = 1024;
/// Errors that a report keeps of each part.
const KEPT: usize = 20;

/// What [`check`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckReport {
    /// Data set.
    pub name: String,
    /// A line for each published file, or one that says why there is none.
    pub digests: Vec<String>,
    /// Train, validation if the data set has one, and test.
    pub parts: Vec<PartReport>,
}

/// One part of a data set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartReport {
    /// `train`, `validation` or `test`.
    pub name: &'static str,
    /// Examples.
    pub examples: usize,
    /// Names of the classes and how many examples have them; empty where answers are not classes.
    pub classes: Vec<(String, usize)>,
    /// Examples that could not be read.
    pub unreadable: usize,
    /// The errors of the first of them.
    pub errors: Vec<String>,
}

impl CheckReport {
    /// Whether everything could be read.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.parts.iter().all(|part| part.unreadable == 0)
    }
}

/// Opens a data set, compares its files with the published digests, and reads every example.
///
/// # Errors
/// As [`open`](crate::open()); a published file with another digest. Examples that cannot be read are no errors but part
/// of the report.
pub fn check(
    config: &DataConfig,
    dirs: &DataDirs,
    progress: &dyn Progress,
) -> Result<CheckReport, DataError> {
    let splits = open_with_progress(config, dirs, 0, progress)?;
    let digests = digests(config, dirs, progress)?;
    let validation = splits.validation.as_ref();
    let parts = [
        ("train", Some(&splits.train)),
        ("validation", validation),
        ("test", Some(&splits.test)),
    ];
    let parts = parts
        .into_iter()
        .filter_map(|(name, part)| Some(read(name, part?.as_ref(), progress)));
    Ok(CheckReport {
        name: config.name.clone(),
        digests,
        parts: parts.collect(),
    })
}

fn digests(
    config: &DataConfig,
    dirs: &DataDirs,
    progress: &dyn Progress,
) -> Result<Vec<String>, DataError> {
    let source = match entry(&config.name)?.origin {
        Origin::Published(source) => source(),
        Origin::ByHand { .. } => return Ok(vec!["none are published".into()]),
        Origin::Bundled | Origin::Generated | Origin::Own => return Ok(Vec::new()),
    };
    let found = config.path.clone().map(Location::Folder);
    let Some(Location::Folder(folder)) = found.or_else(|| locate::locate(&source, dirs)) else {
        return Ok(vec!["the files are in an archive that was checked".into()]);
    };
    source.verify(&folder, progress)?;
    let line = |file: &crate::fetch::manifest::DataFile| {
        let digest = match file.digest.as_str() {
            "" => "no digest is published",
            digest => digest,
        };
        format!("{}: {digest}", file.path)
    };
    Ok(source.files.iter().map(line).collect())
}

fn read(name: &'static str, part: &dyn Dataset, progress: &dyn Progress) -> PartReport {
    let count = part.info().output.class_count().unwrap_or(0);
    let mut counts = vec![0; count];
    let (mut unreadable, mut errors) = (0, Vec::new());
    progress.start(
        &format!("reading {name}"),
        Some(part.len() as u64),
        "examples",
    );
    for start in (0..part.len()).step_by(BLOCK) {
        let end = (start + BLOCK).min(part.len());
        let results: Vec<Result<Option<usize>, DataError>> = (start..end)
            .into_par_iter()
            .map(|index| Ok(part.get(index)?.target.class()))
            .collect();
        for result in results {
            match result {
                Ok(class) => {
                    let count = class.and_then(|class| counts.get_mut(class));
                    count.into_iter().for_each(|count| *count += 1);
                }
                Err(error) => {
                    unreadable += 1;
                    if errors.len() < KEPT {
                        errors.push(error.to_string());
                    }
                }
            }
        }
        progress.at(end as u64);
    }
    progress.finish();
    let output = &part.info().output;
    let named = counts.into_iter().enumerate();
    PartReport {
        name,
        examples: part.len(),
        classes: named
            .map(|(class, count)| (output.class_name(class), count))
            .collect(),
        unreadable,
        errors,
    }
}

impl fmt::Display for CheckReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.name)?;
        if !self.digests.is_empty() {
            writeln!(f, "digests")?;
        }
        for line in &self.digests {
            writeln!(f, "  {line}")?;
        }
        for part in &self.parts {
            writeln!(
                f,
                "{}: {} examples, {} of them unreadable",
                part.name, part.examples, part.unreadable
            )?;
            for error in &part.errors {
                writeln!(f, "  unreadable: {error}")?;
            }
            if part.unreadable > part.errors.len() {
                writeln!(f, "  … {} more", part.unreadable - part.errors.len())?;
            }
            for (class, count) in &part.classes {
                writeln!(f, "  {count:8}  {class}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Silent, sample};

    #[test]
    fn classes_are_counted_and_unreadable_files_named() {
        let dir = tempfile::tempdir().unwrap();
        sample::write(sample::Sample::Images, dir.path()).unwrap();
        std::fs::write(dir.path().join("square/broken.png"), "no image").unwrap();
        let config = DataConfig {
            name: "image-folder".into(),
            path: Some(dir.path().into()),
            ..DataConfig::default()
        };
        let dirs = DataDirs::new(None, None, dir.path().join("cache"));
        let report = check(&config, &dirs, &Silent).unwrap();
        assert!(!report.is_whole());
        let total =
            |class: usize| -> usize { report.parts.iter().map(|part| part.classes[class].1).sum() };
        assert_eq!([total(0), total(1), total(2)], [60; 3]);
        let text = report.to_string();
        assert!(
            text.contains("broken.png") && text.contains("circle"),
            "{text}"
        );
    }

    #[test]
    fn bundled_sets_are_whole() {
        let dirs = DataDirs::new(None, None, "cache".into());
        let report = check(&DataConfig::default(), &dirs, &Silent).unwrap();
        assert!(report.is_whole() && report.digests.is_empty());
        assert_eq!(report.parts.len(), 2);
        let sum: usize = report.parts[1].classes.iter().map(|(_, count)| count).sum();
        assert_eq!(sum, 360);
    }
}
