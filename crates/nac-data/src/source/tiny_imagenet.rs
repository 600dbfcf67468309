//! Tiny-ImageNet and Tiny-ImageNet-R from their folders.
//!
//! - Tiny-ImageNet: Stanford's course CS231n, <http://cs231n.stanford.edu/tiny-imagenet-200.zip>, 248 MB: 200 of
//!   ImageNet's classes with 500 training and 50 validation images of 64×64, some of them grey; the labels of its own test
//!   part are not published, so `val` is the test part as usual, and validation is carved from train. Layout:
//!   `train/<wnid>/images/*.JPEG`, `val/images/*.JPEG` with `val/val_annotations.txt`, `wnids.txt`. Fewer images are fine.
//! - Tiny-ImageNet-R: 10,456 images of ImageNet-R at 64×64 for the 62 classes that it shares with Tiny-ImageNet,
//!   `tiny-imagenet-r/<wnid>/*`, <https://zenodo.org/records/6653675>. A test part for models of the 200 classes: answers
//!   are the best of the 62.
//!
//! Classes are in the order of their WordNet identifiers.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use fs_err as fs;

use super::image_files::{self, ImageFile, ImageFiles};
use super::imagenet::{self, by_class, find_folder};
use super::synsets::{self, Synset};
use super::{Entry, Origin, Request};
use crate::fetch::manifest::{ArchiveFile, DataFile, Source};
use crate::{DataDirs, DataError, DatasetInfo, PublishedPart, Splits};

/// Tiny-ImageNet, for the registry.
pub const ENTRY: Entry = Entry {
    name: "tiny-imagenet",
    title: "Tiny-ImageNet: 110,000 colour images 64x64, 200 classes",
    licence: "none stated; ImageNet's terms: non-commercial research",
    origin: Origin::Published(source),
    counts: Some(|_| {
        let part = |name, each| PublishedPart::balanced(name, 200, each);
        vec![part("train", 500), part("test", 50)]
    }),
    describe: |request| Ok(info(ENTRY.name, request)),
    open,
};

/// Tiny-ImageNet-R, for the registry.
pub const ENTRY_R: Entry = Entry {
    name: "tiny-imagenet-r",
    title: "Tiny-ImageNet-R: 10,456 renditions 64x64 of 62 of Tiny-ImageNet's classes, a test for its models",
    licence: "none stated; images have their own",
    origin: Origin::ByHand {
        find: find_r,
        recipe: recipe_r,
    },
    counts: Some(|_| {
        let train = PublishedPart::balanced("train", 200, 500);
        vec![train, PublishedPart::new("test", 10_456)]
    }),
    describe: |request| Ok(info(ENTRY_R.name, request)),
    open: open_r,
};

const FOLDER: &str = "tiny-imagenet-200";
/// Longest text file.
const MAX_TEXT: u64 = 1 << 24;

fn info(name: &str, request: &Request<'_>) -> DatasetInfo {
    let names = synsets::tiny_imagenet()
        .into_iter()
        .map(|synset| synset.name());
    image_files::info(name, names, &request.config.image)
}

fn open(request: &Request<'_>) -> Result<Splits, DataError> {
    let folder = request.folder(&source())?;
    let info = info(ENTRY.name, request);
    let classes = synsets::tiny_imagenet();
    let train = by_class(&folder.join("train"), &classes, false)?;
    let test = annotated(&folder.join("val"), &classes)?;
    Ok(Splits {
        train: ImageFiles::open(&info, "training", train, None, request)?,
        validation: None,
        test: ImageFiles::open(&info, "test", test, None, request)?,
    })
}

fn open_r(request: &Request<'_>) -> Result<Splits, DataError> {
    let folder = imagenet::folder(&ENTRY_R, find_r, recipe_r, request)?;
    let train = find_folder(request.dirs, &[FOLDER], "wnids.txt").map(|tiny| tiny.join("train"));
    let classes = synsets::tiny_imagenet();
    imagenet::renditions(
        &info(ENTRY_R.name, request),
        &folder,
        train,
        &classes,
        request,
    )
}

/// Files of `val_annotations.txt`: name and identifier, then a box.
fn annotated(folder: &Path, classes: &[Synset]) -> Result<Vec<ImageFile>, DataError> {
    let path = folder.join("val_annotations.txt");
    let mut text = String::new();
    fs::File::open(&path)?
        .take(MAX_TEXT)
        .read_to_string(&mut text)?;
    let rows = annotations(&path, &text, classes)?;
    let file = |(name, class)| ImageFile::whole(folder.join("images").join(name), class);
    Ok(rows.into_iter().map(file).collect())
}

/// Reads the text of `val_annotations.txt` and returns names of files and numbers of classes; `path` is for errors.
///
/// # Errors
/// [`DataError::CorruptLine`] with the line of what is no file name with a class of the set.
pub fn parse_annotations(path: &Path, text: &str) -> Result<Vec<(String, u32)>, DataError> {
    annotations(path, text, &synsets::tiny_imagenet())
}

fn annotations(
    path: &Path,
    text: &str,
    classes: &[Synset],
) -> Result<Vec<(String, u32)>, DataError> {
    let mut files = Vec::new();
    for (line, row) in (1..).zip(text.lines()) {
        let corrupt = |reason: String| DataError::CorruptLine {
            path: path.into(),
            line,
            reason,
        };
        let mut fields = row.split('\t');
        let (Some(name), Some(id)) = (fields.next(), fields.next()) else {
            return Err(corrupt("expected a file name and a class".into()));
        };
        if name.contains(['/', '\\']) || name.is_empty() {
            return Err(corrupt(format!("`{name}` is no file name")));
        }
        let class = classes.iter().position(|class| class.id == id);
        let class = class.ok_or_else(|| corrupt(format!("`{id}` is no class")))?;
        files.push((name.to_owned(), class as u32));
    }
    Ok(files)
}

fn find_r(dirs: &DataDirs) -> Option<PathBuf> {
    find_folder(dirs, &["tiny-imagenet-r"], "n01443537").filter(|folder| {
        // ImageNet-R itself has classes that are not among Tiny-ImageNet's.
        !folder.join("n01484850").exists() && !folder.join("n01440764").exists()
    })
}

fn recipe_r(dirs: &DataDirs) -> String {
    format!(
        "To get `tiny-imagenet-r`: download it from https://zenodo.org/records/6653675, or resize the images of \
         ImageNet-R of the 62 classes of Tiny-ImageNet to 64x64, so that there is\n  {}/<wnid>/*",
        dirs.download_dir().join("tiny-imagenet-r").display()
    )
}

/// The archive at Stanford, with the MD5 that loaders check.
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
        homepage: "http://cs231n.stanford.edu/".into(),
        folder: FOLDER.into(),
        archive: ArchiveFile {
            file_name: "tiny-imagenet-200.zip".into(),
            bytes: 248_100_043,
            digest: "90528d7ca1a48142e341f4ef8d21d0de".into(),
            urls: vec!["http://cs231n.stanford.edu/tiny-imagenet-200.zip".into()],
        },
        files: vec![text("wnids.txt"), text("val/val_annotations.txt")],
        max_unpacked_bytes: 1_000_000_000,
    }
}
