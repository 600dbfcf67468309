//! CUB-200-2011: 11,788 photographs of 200 bird species.
//!
//! Wah, Branson, Welinder, Perona, Belongie, *The Caltech-UCSD Birds-200-2011 Dataset* (2011),
//! <https://data.caltech.edu/records/65de6-vp158>, 1.15 GB. Text files of `id value` lines (`images.txt`,
//! `image_class_labels.txt`, `train_test_split.txt`, `bounding_boxes.txt`, `classes.txt`) beside `images/<class>/*.jpg`.
//! The official split has 5,994 training and 5,794 test images. A part of the classes or images is read too.

use std::collections::BTreeMap;
use std::path::Path;

use fs_err as fs;

use super::image_files::{self, ImageFile, ImageFiles};
use super::{Entry, Origin, Request};
use crate::fetch::manifest::{ArchiveFile, DataFile, Source};
use crate::{DataError, PublishedPart, Splits};

/// For the registry.
pub const ENTRY: Entry = Entry {
    name: "cub",
    title: "CUB-200-2011: 11,788 photographs of 200 bird species",
    licence: "none stated; the authors ask for citation, and images may be under copyright",
    origin: Origin::Published(source),
    counts: Some(|_| {
        let part = PublishedPart::new;
        vec![part("train", 5_994), part("test", 5_794)]
    }),
    describe: |request| Ok(image_files::info("cub", classes(), &request.config.image)),
    open,
};

/// Longest text file.
const MAX_TEXT: u64 = 1 << 24;
const SPECIES: &str = include_str!("../../assets/cub-classes.txt");

fn classes() -> impl Iterator<Item = &'static str> {
    SPECIES.lines()
}

fn open(request: &Request<'_>) -> Result<Splits, DataError> {
    let folder = request.folder(&source())?;
    let info = (ENTRY.describe)(request)?;
    let images = table(&folder.join("images.txt"))?;
    let labels = table(&folder.join("image_class_labels.txt"))?;
    let in_train = table(&folder.join("train_test_split.txt"))?;
    let boxes = if request.config.cub.crop_to_box {
        table(&folder.join("bounding_boxes.txt"))?
    } else {
        BTreeMap::new()
    };
    check_classes(&folder.join("classes.txt"))?;
    let (mut train, mut test) = (Vec::new(), Vec::new());
    for (id, (line, name)) in &images {
        let value = |table: &Rows, file: &str| {
            let value = table.get(id).map(|(line, value)| (*line, value.clone()));
            value.ok_or_else(|| {
                let reason = format!("image {id} is not in {file}");
                corrupt(&folder.join("images.txt"), *line, reason)
            })
        };
        let (at, class) = value(&labels, "image_class_labels.txt")?;
        let class = class.parse::<u32>().ok().filter(|c| (1..=200).contains(c));
        let class = class.ok_or_else(|| {
            let reason = "the class is not 1 to 200".into();
            corrupt(&folder.join("image_class_labels.txt"), at, reason)
        })?;
        if name.split(['/', '\\']).any(|part| part == "..") || Path::new(name).is_absolute() {
            let reason = format!("`{name}` leads out of the folder");
            return Err(corrupt(&folder.join("images.txt"), *line, reason));
        }
        let mut file = ImageFile::whole(folder.join("images").join(name), class - 1);
        if request.config.cub.crop_to_box {
            let (at, text) = value(&boxes, "bounding_boxes.txt")?;
            file.part = Some(bounding_box(&folder, at, &text)?);
        }
        let (at, flag) = value(&in_train, "train_test_split.txt")?;
        match flag.as_str() {
            "1" => train.push(file),
            "0" => test.push(file),
            _ => {
                let reason = format!("`{flag}` is neither 0 nor 1");
                return Err(corrupt(&folder.join("train_test_split.txt"), at, reason));
            }
        }
    }
    Ok(Splits {
        train: ImageFiles::open(&info, "training", train, None, request)?,
        validation: None,
        test: ImageFiles::open(&info, "test", test, None, request)?,
    })
}

/// Lines `id value`, by id, with their number.
fn table(path: &Path) -> Result<Rows, DataError> {
    let length = fs::metadata(path)?.len();
    if length > MAX_TEXT {
        return Err(DataError::CorruptFile {
            path: path.into(),
            offset: MAX_TEXT,
            reason: format!("the file has {length} bytes, at most {MAX_TEXT} are read"),
        });
    }
    parse_table(path, &fs::read_to_string(path)?)
}

/// Rows of a text file by their number: line and value.
pub type Rows = BTreeMap<u64, (u64, String)>;

/// Reads lines of `number value`; `path` is for errors.
///
/// # Errors
/// [`DataError::CorruptLine`] with the line of what is none, or whose number occurs twice.
pub fn parse_table(path: &Path, text: &str) -> Result<Rows, DataError> {
    let mut rows = BTreeMap::new();
    for (line, text) in (1..).zip(text.lines()) {
        if text.trim().is_empty() {
            continue;
        }
        let parts = text.split_once(' ');
        let row = parts.and_then(|(id, value)| Some((id.parse::<u64>().ok()?, value.trim())));
        let Some((id, value)) = row else {
            return Err(corrupt(path, line, "expected a number and a value".into()));
        };
        if rows.insert(id, (line, value.to_owned())).is_some() {
            return Err(corrupt(path, line, format!("number {id} occurs twice")));
        }
    }
    Ok(rows)
}

/// The classes there are must be the published ones.
fn check_classes(path: &Path) -> Result<(), DataError> {
    for (id, (line, name)) in table(path)? {
        let place = usize::try_from(id).ok().and_then(|id| id.checked_sub(1));
        let known = place.and_then(|place| classes().nth(place));
        if known != Some(name.as_str()) {
            let reason = format!("class {id} is `{name}`, published is {known:?}");
            return Err(corrupt(path, line, reason));
        }
    }
    Ok(())
}

/// Left, top, width, height in pixels, written as numbers with a point.
fn bounding_box(folder: &Path, line: u64, text: &str) -> Result<[usize; 4], DataError> {
    let numbers: Vec<f64> = text
        .split_whitespace()
        .filter_map(|number| number.parse().ok())
        .filter(|number: &f64| (0.0..1e6).contains(number))
        .collect();
    match numbers.as_slice() {
        &[left, top, width, height] => {
            Ok([left, top, width, height].map(|number| number.round() as usize))
        }
        _ => {
            let reason = format!("`{text}` is no box of four numbers");
            Err(corrupt(&folder.join("bounding_boxes.txt"), line, reason))
        }
    }
}

fn corrupt(path: &Path, line: u64, reason: String) -> DataError {
    DataError::CorruptLine {
        path: path.into(),
        line,
        reason,
    }
}

/// The archive at Caltech, with the MD5 that its page and other loaders give.
#[must_use]
pub fn source() -> Source {
    let text = |path: &str| DataFile {
        path: path.into(),
        bytes: 0,
        digest: String::new(),
    };
    Source {
        name: ENTRY.name.into(),
        title: ENTRY.title.into(),
        licence: ENTRY.licence.into(),
        homepage: "https://www.vision.caltech.edu/datasets/cub_200_2011/".into(),
        folder: "CUB_200_2011".into(),
        archive: ArchiveFile {
            file_name: "CUB_200_2011.tgz".into(),
            bytes: 1_150_585_339,
            digest: "97eceeb196236b17998738112f37df78".into(),
            urls: vec![
                "https://data.caltech.edu/records/65de6-vp158/files/CUB_200_2011.tgz".into(),
            ],
        },
        files: vec![
            text("images.txt"),
            text("image_class_labels.txt"),
            text("train_test_split.txt"),
            text("bounding_boxes.txt"),
            text("classes.txt"),
        ],
        max_unpacked_bytes: 2_000_000_000,
    }
}
