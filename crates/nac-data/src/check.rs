//! [`check`]: every example of a data set read once, and what was found.

use std::fmt;
use std::sync::Mutex;

use rayon::prelude::*;

use crate::fetch::checksum;
use crate::fetch::locate::{self, Location};
use crate::fetch::manifest::DataFile;
use crate::file_list;
use crate::registry::{entry, open_with_progress};
use crate::source::{Origin, Request};
use crate::{DataConfig, DataDirs, DataError, Dataset, Progress, PublishedPart};

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
    /// A line for each part that has other numbers of examples than the published one.
    pub missing: Vec<String>,
    /// What opening it noted.
    pub warnings: Vec<String>,
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

    /// Whether each part has the published number of examples, as far as that is known.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty()
    }
}

/// Opens a data set, compares its files with the published digests, reads every example, and compares their numbers with
/// the published ones.
///
/// # Errors
/// As [`open`](crate::open()); a published file with another digest. Examples that cannot be read are no errors but part
/// of the report.
pub fn check(
    config: &DataConfig,
    dirs: &DataDirs,
    progress: &dyn Progress,
) -> Result<CheckReport, DataError> {
    let noted = Noted {
        progress,
        notes: Mutex::default(),
    };
    let splits = open_with_progress(config, dirs, 0, &noted)?;
    let digests = digests(config, dirs, progress)?;
    let validation = splits.validation.as_ref();
    let parts = [
        ("train", Some(&splits.train)),
        ("validation", validation),
        ("test", Some(&splits.test)),
    ];
    let parts: Vec<PartReport> = parts
        .into_iter()
        .filter_map(|(name, part)| Some(read(name, part?.as_ref(), progress)))
        .collect();
    let request = Request {
        config,
        dirs,
        seed: 0,
        progress,
    };
    let published = entry(&config.name)?.counts.map(|counts| counts(&request));
    Ok(CheckReport {
        name: config.name.clone(),
        digests,
        missing: missing(&parts, &published.unwrap_or_default()),
        parts,
        warnings: noted.notes.into_inner().unwrap_or_default(),
    })
}

/// Progress that keeps the notes.
struct Noted<'a> {
    progress: &'a dyn Progress,
    notes: Mutex<Vec<String>>,
}

impl Progress for Noted<'_> {
    fn start(&self, what: &str, total: Option<u64>, unit: &'static str) {
        self.progress.start(what, total, unit);
    }

    fn at(&self, done: u64) {
        self.progress.at(done);
    }

    fn finish(&self) {
        self.progress.finish();
    }

    fn note(&self, text: &str) {
        if let Ok(mut notes) = self.notes.lock() {
            notes.push(text.into());
        }
    }
}

/// A line for each published part that the parts found differ from.
fn missing(parts: &[PartReport], published: &[PublishedPart]) -> Vec<String> {
    let has_validation = published.iter().any(|part| part.name == "validation");
    let lines = published.iter().filter_map(|wanted| {
        let is_of = |part: &&PartReport| {
            let carved = part.name == "validation" && wanted.name == "train" && !has_validation;
            part.name == wanted.name || carved
        };
        let (mut examples, mut classes) = (0, Vec::<(String, usize)>::new());
        for part in parts.iter().filter(is_of) {
            examples += part.examples;
            if classes.is_empty() {
                classes.clone_from(&part.classes);
                continue;
            }
            let counts = part.classes.iter().map(|(_, count)| count);
            classes.iter_mut().zip(counts).for_each(|(a, b)| a.1 += b);
        }
        wanted.difference(examples, &classes)
    });
    lines.collect()
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
    let line = |file: &DataFile| {
        if !file.digest.is_empty() {
            return Ok(format!("{}: {}, as published", file.path, file.digest));
        }
        let found = checksum::sha256(&folder.join(&file.path), progress)?;
        Ok(format!("{}: {found}, none is published", file.path))
    };
    let lines = source.files.iter().map(line);
    let mut lines = lines.collect::<Result<Vec<String>, DataError>>()?;
    let advice = "move the folder away and get the data set again";
    if let Some(files) = file_list::verify(&folder, advice, progress)? {
        lines.push(format!("{files} files are as they were unpacked"));
    }
    Ok(lines)
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
        for (title, lines) in [
            ("other numbers than published", &self.missing),
            ("warnings", &self.warnings),
        ] {
            if !lines.is_empty() {
                writeln!(f, "{title}")?;
            }
            for line in lines {
                writeln!(f, "  {line}")?;
            }
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

    /// A folder with a part of Tiny-ImageNet: two of 500 training images of a class, one test image of another.
    fn part_of_tiny_imagenet() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        let image = image::RgbImage::from_pixel(64, 64, image::Rgb([9; 3]));
        for folder in ["train/n01443537/images", "val/images"] {
            std::fs::create_dir_all(root.join(folder)).unwrap();
        }
        for file in ["a.JPEG", "b.JPEG"] {
            let path = root.join("train/n01443537/images").join(file);
            image
                .save_with_format(path, image::ImageFormat::Jpeg)
                .unwrap();
        }
        let path = root.join("val/images/c.JPEG");
        image
            .save_with_format(path, image::ImageFormat::Jpeg)
            .unwrap();
        std::fs::write(root.join("wnids.txt"), "n01443537\n").unwrap();
        let row = "c.JPEG\tn01629819\t0\t0\t9\t9\n";
        std::fs::write(root.join("val/val_annotations.txt"), row).unwrap();
        dir
    }

    #[test]
    fn what_is_missing_of_a_published_set_is_said() {
        let dir = part_of_tiny_imagenet();
        let config = DataConfig {
            name: "tiny-imagenet".into(),
            path: Some(dir.path().into()),
            ..DataConfig::default()
        };
        let dirs = DataDirs::new(None, None, dir.path().join("cache"));
        let report = check(&config, &dirs, &Silent).unwrap();
        assert!(report.is_whole() && !report.is_complete());
        let [train, test] = report.missing.as_slice() else {
            panic!("{:?}", report.missing)
        };
        assert!(
            train.starts_with("train: 2 of 100,000 examples; n01443537 goldfish 2 of 500, "),
            "{train}"
        );
        assert!(train.ends_with("and 195 more classes"), "{train}");
        assert!(test.starts_with("test: 1 of 10,000 examples; "), "{test}");
        let text = report.to_string();
        // The digest of a file without a published one is there to compare.
        assert!(
            text.contains("none is published") && text.contains(train.as_str()),
            "{text}"
        );
    }

    #[test]
    fn parts_held_out_of_training_count_as_training() {
        let part = |name, counts: [usize; 2]| PartReport {
            name,
            examples: counts.iter().sum(),
            classes: vec![("a".into(), counts[0]), ("b".into(), counts[1])],
            unreadable: 0,
            errors: Vec::new(),
        };
        let parts = [
            part("train", [8, 7]),
            part("validation", [2, 3]),
            part("test", [4, 4]),
        ];
        let train = PublishedPart::balanced("train", 2, 10);
        assert!(missing(&parts, std::slice::from_ref(&train)).is_empty());
        let published = [train, PublishedPart::new("validation", 5)];
        assert_eq!(
            missing(&parts, &published),
            ["train: 15 of 20 examples; a 8 of 10, b 7 of 10"]
        );
    }

    #[test]
    fn published_numbers_have_the_classes_of_the_examples() {
        let dirs = DataDirs::new(None, None, "cache".into());
        for entry in crate::entries() {
            let config = DataConfig {
                name: entry.name.into(),
                ..DataConfig::default()
            };
            let request = Request {
                config: &config,
                dirs: &dirs,
                seed: 0,
                progress: &Silent,
            };
            let Some(counts) = entry.counts else {
                assert!(!matches!(entry.origin, Origin::Published(_)));
                continue;
            };
            let width = (entry.describe)(&request).unwrap().output.width();
            for part in counts(&request) {
                assert!(["train", "validation", "test"].contains(&part.name));
                assert!(part.classes.is_empty() || part.classes.len() == width);
                assert!(part.examples > 0);
            }
        }
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
