//! ImageNet (ILSVRC2012) and ImageNet-R from their folders.
//!
//! - ImageNet: Russakovsky et al., *ImageNet Large Scale Visual Recognition Challenge* (2015), <https://image-net.org>;
//!   free for non-commercial research after registration. `train/<wnid>/*.JPEG` (1,281,167 images) and
//!   `val/<wnid>/*.JPEG` (50,000, which are the test part as usual; validation is carved from train).
//! - ImageNet-R: Hendrycks et al., *The Many Faces of Robustness* (2021), <https://github.com/hendrycks/imagenet-r>, MIT
//!   licence for the code, images under their own: 30,000 renditions of 200 of the classes, `imagenet-r/<wnid>/*.jpg`. It
//!   is a test part for models of all 1,000 classes: answers are the best of the 200.
//!
//! Neither publishes digests of its files, so they are got by hand.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::image_files::{self, ImageFile, ImageFiles};
use super::synsets::{self, Synset};
use super::{Entry, Origin, Request};
use crate::{DataDirs, DataError, DatasetInfo, PublishedPart, SharedDataset, Splits};

/// ImageNet, for the registry.
pub const ENTRY: Entry = Entry {
    name: "imagenet",
    title: "ImageNet (ILSVRC2012): 1,331,167 images, 1,000 classes",
    licence: "non-commercial research, after registration",
    origin: Origin::ByHand { find, recipe },
    counts: Some(|_| {
        let test = PublishedPart::balanced("test", 1_000, 50);
        vec![PublishedPart::new("train", 1_281_167), test]
    }),
    describe: |request| Ok(info(ENTRY.name, request)),
    open,
};

/// ImageNet-R, for the registry.
pub const ENTRY_R: Entry = Entry {
    name: "imagenet-r",
    title: "ImageNet-R: 30,000 renditions of 200 of ImageNet's classes, a test for its models",
    licence: "MIT (code); images have their own",
    origin: Origin::ByHand {
        find: find_r,
        recipe: recipe_r,
    },
    counts: Some(|_| {
        let part = PublishedPart::new;
        vec![part("train", 1_281_167), part("test", 30_000)]
    }),
    describe: |request| Ok(info(ENTRY_R.name, request)),
    open: open_r,
};

const FIRST: &str = "n01440764";
/// A class of ImageNet-R that is the first one there.
const FIRST_R: &str = "n01443537";

fn info(name: &str, request: &Request<'_>) -> DatasetInfo {
    let names = synsets::imagenet().into_iter().map(|synset| synset.name());
    image_files::info(name, names, &request.config.image)
}

fn open(request: &Request<'_>) -> Result<Splits, DataError> {
    let folder = folder(&ENTRY, find, recipe, request)?;
    let info = info(ENTRY.name, request);
    let classes = synsets::imagenet();
    let part = |name: &str, part: &str| {
        let files = by_class(&folder.join(name), &classes, true)?;
        ImageFiles::open(&info, part, files, None, request)
    };
    Ok(Splits {
        train: part("train", "training")?,
        validation: None,
        test: part("val", "test")?,
    })
}

fn open_r(request: &Request<'_>) -> Result<Splits, DataError> {
    let folder = folder(&ENTRY_R, find_r, recipe_r, request)?;
    let classes = synsets::imagenet();
    let train = find(request.dirs).map(|folder| folder.join("train"));
    renditions(
        &info(ENTRY_R.name, request),
        &folder,
        train,
        &classes,
        request,
    )
}

/// Renditions in `folder` as the test part, with the original training images, if there are any.
pub(super) fn renditions(
    info: &DatasetInfo,
    folder: &Path,
    train: Option<PathBuf>,
    classes: &[Synset],
    request: &Request<'_>,
) -> Result<Splits, DataError> {
    let answers: Arc<[usize]> = synsets::in_imagenet_r(classes).into();
    let files = by_class(folder, classes, false)?;
    if let Some(file) = files
        .iter()
        .find(|f| !answers.contains(&(f.class as usize)))
    {
        let reason = format!("{} is of no class of ImageNet-R", file.path.display());
        return Err(wrong(folder, reason));
    }
    let test: SharedDataset = ImageFiles::open(info, "test", files, Some(answers), request)?;
    let train = match train {
        Some(folder) => by_class(&folder, classes, false)?,
        None => {
            let text = "the original training images are not here: there is only a test part";
            request.progress.note(text);
            Vec::new()
        }
    };
    Ok(Splits {
        train: ImageFiles::open(info, "training", train, None, request)?,
        validation: None,
        test,
    })
}

/// Images in folders named by identifiers, with the places of these in `classes`. With `all`, every class must have its
/// folder.
pub(super) fn by_class(
    folder: &Path,
    classes: &[Synset],
    all: bool,
) -> Result<Vec<ImageFile>, DataError> {
    let mut files = Vec::new();
    let folders = image_files::folders(folder)?;
    if all
        && !folders
            .iter()
            .map(|f| f.0.as_str())
            .eq(classes.iter().map(|c| c.id))
    {
        let known = |id: &str| folders.iter().any(|folder| folder.0 == id);
        let missing = classes.iter().filter(|class| !known(class.id));
        let first: Vec<&str> = missing.clone().take(3).map(|class| class.id).collect();
        let reason = format!(
            "{} folders, expected one for each of the {} classes; {} are missing: {} … (validation images must be \
             sorted into folders by class)",
            folders.len(),
            classes.len(),
            missing.count(),
            first.join(", ")
        );
        return Err(wrong(folder, reason));
    }
    for (name, inner) in folders {
        let class = classes.iter().position(|class| class.id == name);
        let class =
            class.ok_or_else(|| wrong(folder, format!("`{name}` is no class of this data set")))?;
        let images = image_files::images_in(&inner)?.images.into_iter();
        files.extend(images.map(|path| ImageFile::whole(path, class as u32)));
    }
    Ok(files)
}

/// `data.path`, or where the data set is found.
pub(super) fn folder(
    entry: &Entry,
    find: fn(&DataDirs) -> Option<PathBuf>,
    recipe: fn(&DataDirs) -> String,
    request: &Request<'_>,
) -> Result<PathBuf, DataError> {
    let path = request.config.path.clone();
    path.or_else(|| find(request.dirs))
        .ok_or_else(|| DataError::NotFound {
            name: entry.name.into(),
            searched: request.dirs.search(),
            instructions: recipe(request.dirs),
        })
}

/// The first of `names` (or the folder itself) in the folders of the search that has `marker`.
pub(super) fn find_folder(dirs: &DataDirs, names: &[&str], marker: &str) -> Option<PathBuf> {
    let places = dirs.search();
    let mut places = places.iter().flat_map(|dir| {
        let named = names.iter().map(|name| dir.join(name));
        named.chain([dir.clone()]).collect::<Vec<_>>()
    });
    places.find(|folder| folder.join(marker).exists())
}

fn find(dirs: &DataDirs) -> Option<PathBuf> {
    let names = ["imagenet", "ILSVRC2012", "ILSVRC/Data/CLS-LOC"];
    find_folder(dirs, &names, &format!("train/{FIRST}"))
}

fn find_r(dirs: &DataDirs) -> Option<PathBuf> {
    find_folder(dirs, &["imagenet-r"], FIRST_R).filter(|folder| !folder.join(FIRST).exists())
}

fn recipe(dirs: &DataDirs) -> String {
    format!(
        "To get `imagenet`: register at https://image-net.org, download ILSVRC2012_img_train.tar and \
         ILSVRC2012_img_val.tar, unpack both (and the archives within the first) into\n  {}\nso that it has \
         train/<wnid>/*.JPEG and val/<wnid>/*.JPEG; the archive of the validation images is flat, their classes are in \
         the development kit.",
        dirs.download_dir().join("imagenet").display()
    )
}

fn recipe_r(dirs: &DataDirs) -> String {
    format!(
        "To get `imagenet-r`: download https://people.eecs.berkeley.edu/~hendrycks/imagenet-r.tar (2.2 GB) and unpack \
         it so that there is\n  {}/<wnid>/*.jpg",
        dirs.download_dir().join("imagenet-r").display()
    )
}

pub(super) fn wrong(folder: &Path, reason: String) -> DataError {
    DataError::Config {
        field: folder.display().to_string(),
        reason,
    }
}
