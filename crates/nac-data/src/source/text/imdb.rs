//! IMDB movie reviews (Large Movie Review Dataset), positive or negative.
//!
//! Maas et al., *Learning Word Vectors for Sentiment Analysis* (ACL 2011), <https://ai.stanford.edu/~amaas/data/sentiment/>:
//! 25,000 training and 25,000 test reviews, half of each class, as `aclImdb/{train,test}/{neg,pos}/<number>_<stars>.txt`.
//! The archive has 84,125,825 bytes. The authors ask for citation and state no licence.
//!
//! 24,904 of the training and 24,801 of the test reviews are distinct: the repetitions are part of the data set. The
//! file's name holds the stars; neither it nor the order of files reaches a model. There is no validation part; it is
//! carved from training.

use super::read;
use super::text_folder::EXTENSIONS;
use super::texts::{self, Parts};
use crate::fetch::manifest::{ArchiveFile, DataFile, Source};
use crate::source::class_folders;
use crate::source::{Entry, Origin, Request};
use crate::{DataError, DatasetInfo, Preprocessing, PublishedPart, Splits, TextLevel};

/// For the registry.
pub const ENTRY: Entry = Entry {
    name: "imdb",
    title: "IMDB movie reviews: 50,000 texts, positive or negative",
    licence: "none stated; the authors ask for citation",
    origin: Origin::Published(source),
    counts: Some(|_| {
        let part = |name| PublishedPart::balanced(name, CLASS_NAMES.len(), PART / 2);
        vec![part("train"), part("test")]
    }),
    describe,
    open,
};

/// Names of the classes, in the order of the labels.
pub const CLASS_NAMES: [&str; 2] = ["neg", "pos"];
/// Reviews of each part.
pub const PART: usize = 25_000;

/// The archive, and a file of each part and class, by which the folder is known and checked.
#[must_use]
pub fn source() -> Source {
    let file = |path: &str, bytes: u64, sha256: &str| DataFile {
        path: path.into(),
        bytes,
        digest: sha256.into(),
    };
    Source {
        name: ENTRY.name.into(),
        title: ENTRY.title.into(),
        licence: ENTRY.licence.into(),
        homepage: "https://ai.stanford.edu/~amaas/data/sentiment/".into(),
        folder: "aclImdb".into(),
        archive: ArchiveFile {
            file_name: "aclImdb_v1.tar.gz".into(),
            bytes: 84_125_825,
            digest: "c40f74a18d3b61f90feba1e17730e0d38e8b97c05fde7008942e91923d1658fe".into(),
            urls: vec!["https://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz".into()],
        },
        files: vec![
            file(
                "train/pos/0_9.txt",
                806,
                "d3f1dacff103c9835829ef9cbc3b1ccc1d722535d07146b111c9100fd3225c1e",
            ),
            file(
                "train/neg/0_3.txt",
                655,
                "6e3e81d6e04732c2985d17ec29920a03e448354eeb966bb88ddc30a38e1f3e17",
            ),
            file(
                "test/pos/0_10.txt",
                794,
                "2bde2e7ffc81ed455099c43eb35b67ab5819b52299cfc0afba063661f93ad896",
            ),
            file(
                "test/neg/0_2.txt",
                900,
                "55e390cdf9c4d3e19088fa3ca8e82e257b65a71d209d805f4c1163a3bab03991",
            ),
        ],
        max_unpacked_bytes: 700_000_000,
    }
}

fn class_names() -> Vec<String> {
    CLASS_NAMES.map(String::from).to_vec()
}

/// What the examples look like; reads the files only if their words are wanted.
fn describe(request: &Request<'_>) -> Result<DatasetInfo, DataError> {
    let settings = &request.config.text;
    read::check(settings)?;
    if settings.level == TextLevel::Words {
        return Ok(open(request)?.train.info().clone());
    }
    let how = Preprocessing::Bytes {};
    Ok(texts::info(
        ENTRY.name,
        &class_names(),
        settings.max_len,
        how,
    ))
}

/// Reads every review into memory.
fn open(request: &Request<'_>) -> Result<Splits, DataError> {
    let settings = &request.config.text;
    read::check(settings)?;
    let folder = request.folder(&source())?;
    let part = |part: &str| {
        let mut files = Vec::with_capacity(PART);
        for (class, name) in (0..).zip(CLASS_NAMES) {
            let found = class_folders::files_in(&folder.join(part).join(name), &EXTENSIONS)?;
            files.extend(found.into_iter().map(|file| (file, class)));
        }
        if files.len() != PART {
            let found = files.len();
            let note = format!(
                "{}: {found} {part} reviews, published are {PART}",
                folder.display()
            );
            request.progress.note(&note);
        }
        read::files(part, files, request)
    };
    let parts = Parts {
        train: part("train")?,
        validation: None,
        test: Some(part("test")?),
    };
    texts::splits(ENTRY.name, &class_names(), settings, parts)
}
