//! The user's own images: a folder for each class, or a table of paths and classes.
//!
//! Layouts of `data.path`:
//! - `<class>/*`, with images in folders within too. A fifth of each class becomes the test part, by a fixed rule that
//!   no seed changes;
//! - `train/<class>/*`, with `test` and `val` (or `valid`, `validation`) beside it, each optional;
//! - a CSV file with the columns `path` (within the file's folder, or absolute), `data.text.label_column`, and, if
//!   there is one, `split` (`train`, `val`, `test`).
//!
//! Classes are in the order of their names. Pixels are normalized by ImageNet's means and deviations.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::image_files::{self, ImageFile, ImageFiles};
use super::{Entry, Origin, Request};
use crate::table::Table;
use crate::{DataError, DatasetInfo, SharedDataset, Splits, split};

/// For the registry.
pub const ENTRY: Entry = Entry {
    name: "image-folder",
    title: "your own images: a folder for each class, or a CSV file of paths and classes",
    licence: "your own",
    origin: Origin::Own,
    counts: None,
    describe: |request| {
        let found = list(&request.own_path()?, request)?;
        Ok(describe(&found.classes, request))
    },
    open: |request| open(&request.own_path()?, request),
};

const TEST_SEED: u64 = 0;
const PARTS: [(&str, Part); 5] = [
    ("train", Part::Train),
    ("val", Part::Validation),
    ("valid", Part::Validation),
    ("validation", Part::Validation),
    ("test", Part::Test),
];

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Train,
    Validation,
    Test,
}

/// Files by part.
struct Listing {
    classes: Vec<String>,
    parts: BTreeMap<Part, Vec<ImageFile>>,
    /// Files with other endings.
    others: usize,
}

fn describe(classes: &[String], request: &Request<'_>) -> DatasetInfo {
    image_files::info(ENTRY.name, classes, &request.config.image)
}

fn open(root: &Path, request: &Request<'_>) -> Result<Splits, DataError> {
    let mut found = list(root, request)?;
    if found.others > 0 {
        let text = format!("{}: {} files are no images", root.display(), found.others);
        request.progress.note(&text);
    }
    let info = describe(&found.classes, request);
    let train = found.parts.remove(&Part::Train).unwrap_or_default();
    for (class, name) in (0..).zip(&found.classes) {
        if !train.iter().any(|file| file.class == class) {
            let reason = format!("class `{name}` has no training image");
            return Err(refused(root, &reason));
        }
    }
    let train = ImageFiles::open(&info, "training", train, None, request)?;
    let mut part = |part: Part, name: &str| {
        let files = found.parts.remove(&part).filter(|files| !files.is_empty());
        files
            .map(|files| ImageFiles::open(&info, name, files, None, request))
            .transpose()
    };
    let validation = part(Part::Validation, "validation")?;
    let (train, test): (SharedDataset, SharedDataset) = match part(Part::Test, "test")? {
        Some(test) => (train, test),
        None => {
            let fifth = (train.len() / 5).max(1);
            let (train, test) = split::held_out(train, fifth, TEST_SEED)?;
            (Arc::new(train), Arc::new(test))
        }
    };
    Ok(Splits {
        train,
        validation,
        test,
    })
}

fn list(root: &Path, request: &Request<'_>) -> Result<Listing, DataError> {
    if root.is_file() {
        return list_table(root, &request.config.text.label_column);
    }
    let mut parts: Vec<(Part, PathBuf)> = PARTS
        .iter()
        .map(|(name, part)| (*part, root.join(name)))
        .filter(|(_, folder)| folder.is_dir())
        .collect();
    if !parts.iter().any(|(part, _)| *part == Part::Train) {
        parts = vec![(Part::Train, root.to_path_buf())];
    }
    let train = parts
        .first()
        .map_or(root.to_path_buf(), |(_, folder)| folder.clone());
    let classes = image_files::classes_of(&train)?;
    let mut listing = Listing {
        classes,
        parts: BTreeMap::new(),
        others: 0,
    };
    for (part, folder) in parts {
        for (name, folder) in image_files::folders(&folder)? {
            let Some(class) = listing.classes.iter().position(|class| *class == name) else {
                let reason = format!("class `{name}` has no folder in {}", train.display());
                return Err(refused(&folder, &reason));
            };
            let found = image_files::images_in(&folder)?;
            listing.others += found.others;
            let files = found.images.into_iter();
            let files = files.map(|path| ImageFile::whole(path, class as u32));
            listing.parts.entry(part).or_default().extend(files);
        }
    }
    Ok(listing)
}

/// Rows of a table: `path`, the class and perhaps `split`.
fn list_table(path: &Path, label_column: &str) -> Result<Listing, DataError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut table = Table::open(path)?;
    let (file, label) = (table.place("path")?, table.place(label_column)?);
    let split = table.place("split").ok();
    let mut rows = Vec::new();
    while let Some((line, row)) = table.next_row()? {
        let field = |place: usize| row.get(place).unwrap_or_default().trim();
        let (name, class) = (field(file), field(label));
        if name.is_empty() || class.is_empty() {
            return Err(table.corrupt(line, "the path or the class is empty".into()));
        }
        let part = match split.map(field) {
            None => Part::Train,
            Some(text) => PARTS
                .iter()
                .find(|(name, _)| text.eq_ignore_ascii_case(name))
                .map(|(_, part)| *part)
                .ok_or_else(|| {
                    table.corrupt(line, format!("split `{text}`; known: train, val, test"))
                })?,
        };
        rows.push((part, folder.join(name), class.to_owned()));
    }
    let classes: std::collections::BTreeSet<&String> = rows.iter().map(|(_, _, c)| c).collect();
    let classes: Vec<String> = classes.into_iter().cloned().collect();
    if classes.is_empty() {
        return Err(table.corrupt(1, "there are no rows".into()));
    }
    let mut parts = BTreeMap::<Part, Vec<ImageFile>>::new();
    for (part, path, class) in rows {
        let class = classes.binary_search(&class).unwrap_or_default() as u32;
        let file = ImageFile::whole(path, class);
        parts.entry(part).or_default().push(file);
    }
    Ok(Listing {
        classes,
        parts,
        others: 0,
    })
}

fn refused(path: &Path, reason: &str) -> DataError {
    DataError::Config {
        field: "data.path".into(),
        reason: format!("{}: {reason}", path.display()),
    }
}

#[cfg(test)]
mod tests {
    use fs_err as fs;

    use super::*;
    use crate::{DataConfig, DataDirs, Silent, sample};

    fn config(path: &Path) -> DataConfig {
        DataConfig {
            name: ENTRY.name.into(),
            path: Some(path.into()),
            ..DataConfig::default()
        }
    }

    fn open_with(config: &DataConfig) -> Result<Splits, DataError> {
        let dirs = DataDirs::new(None, None, "cache".into());
        let request = Request {
            config,
            dirs: &dirs,
            seed: 0,
            progress: &Silent,
        };
        let splits = (ENTRY.open)(&request)?;
        assert_eq!(&(ENTRY.describe)(&request)?, splits.train.info());
        Ok(splits)
    }

    fn sampled() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        sample::write(sample::Sample::Images, dir.path()).unwrap();
        dir
    }

    #[test]
    fn folders_of_classes_give_a_fixed_fifth_to_test() {
        let dir = sampled();
        fs::write(dir.path().join("circle/notes.txt"), "x").unwrap();
        let mut config = config(dir.path());
        config.image.size = Some([24, 32]);
        let splits = open_with(&config).unwrap();
        assert_eq!((splits.train.len(), splits.test.len()), (144, 36));
        let example = splits.train.get(0).unwrap();
        assert_eq!(example.inputs[0].1.shape(), [3, 24, 32]);
        // The second time from memory.
        assert_eq!(splits.train.get(0).unwrap(), example);
        config.image.cache_mb = 0;
        let again = open_with(&config).unwrap();
        assert_eq!(again.train.get(0).unwrap(), example);
        assert!(splits.train.file(0).unwrap().starts_with(dir.path()));
    }

    #[test]
    fn unreadable_files_are_errors_or_left_out() {
        let dir = sampled();
        fs::write(dir.path().join("circle/broken.png"), vec![0; 1000]).unwrap();
        let mut config = config(dir.path());
        let splits = open_with(&config).unwrap();
        let read = |set: &SharedDataset| (0..set.len()).find_map(|i| set.get(i).err());
        let error = read(&splits.train).or_else(|| read(&splits.test));
        let error = error.unwrap().to_string();
        assert!(error.contains("broken.png"), "{error}");
        config.skip_unreadable = true;
        let splits = open_with(&config).unwrap();
        assert_eq!(splits.train.len() + splits.test.len(), 180);
        assert!(read(&splits.train).is_none());
    }

    #[test]
    fn parts_and_tables_are_read() {
        let dir = sampled();
        let root = tempfile::tempdir().unwrap();
        let mut table = String::from("path,label,split\n");
        for (number, (part, name)) in [("train", "0"), ("valid", "1"), ("test", "2")]
            .into_iter()
            .enumerate()
        {
            for (class, folder) in image_files::folders(dir.path()).unwrap() {
                let file = image_files::images_in(&folder)
                    .unwrap()
                    .images
                    .remove(number);
                let target = root.path().join(part).join(&class).join("deep");
                fs::create_dir_all(&target).unwrap();
                fs::copy(file, target.join(format!("{name}.png"))).unwrap();
                table += &format!("{part}/{class}/deep/{name}.png,{class},{part}\n");
            }
        }
        let lens = |splits: &Splits| {
            let validation = splits.validation.as_ref().unwrap();
            [splits.train.len(), validation.len(), splits.test.len()]
        };
        let by_folder = open_with(&config(root.path())).unwrap();
        assert_eq!(lens(&by_folder), [3, 3, 3]);
        let csv = root.path().join("all.csv");
        fs::write(&csv, &table).unwrap();
        let by_table = open_with(&config(&csv)).unwrap();
        assert_eq!(lens(&by_table), [3, 3, 3]);
        assert_eq!(
            by_table.test.get(1).unwrap(),
            by_folder.test.get(1).unwrap()
        );

        fs::write(&csv, table + "x.png,circle,tes\n").unwrap();
        let error = open_with(&config(&csv)).unwrap_err().to_string();
        assert!(
            error.contains("line 11") && error.contains("`tes`"),
            "{error}"
        );
        fs::create_dir(root.path().join("test/hexagon")).unwrap();
        let error = open_with(&config(root.path())).unwrap_err().to_string();
        assert!(error.contains("hexagon"), "{error}");
    }

    #[test]
    fn empty_and_doubled_classes_are_named() {
        let dir = sampled();
        fs::create_dir(dir.path().join("hexagon")).unwrap();
        let error = open_with(&config(dir.path())).unwrap_err().to_string();
        assert!(error.contains("`hexagon` has no training image"), "{error}");
        fs::create_dir(dir.path().join("Circle")).unwrap();
        let error = open_with(&config(dir.path())).unwrap_err().to_string();
        assert!(error.contains("letter case"), "{error}");
        let empty = tempfile::tempdir().unwrap();
        assert!(open_with(&config(empty.path())).is_err());
    }
}
