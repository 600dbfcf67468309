//! NLVR2: is a sentence true of a pair of photographs?
//!
//! Suhr et al., *A Corpus for Reasoning about Natural Language Grounded in Photographs* (ACL 2019),
//! <https://github.com/lil-lab/nlvr>, CC BY 4.0 (sentences; the photographs are others'): 86,373 / 6,982 / 6,967 / 6,970
//! examples (train, dev, test1, test2) as `<part>.json`, JSON lines. Photographs are sent by the authors on request:
//! `images/<part>/<part>-<set>-<pair>-img{0,1}.png`, in training within `images/train/<directory>/`; despite their names
//! not all are PNG. No digests of the files are published.
//!
//! Inputs `left` and `right` are the photographs, or features that another model made of them; identifiers are no inputs,
//! and the order of examples is drawn by a fixed seed. Dev validates; if it is among the training parts, a tenth of the sets
//! of eight photographs does.

mod config;
mod features;
mod pairs;
mod rows;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;

pub use config::{Nlvr2Config, Nlvr2Part};

use self::features::Features;
use self::pairs::{Pairs, Photographs};
use self::rows::Row;
use super::{Entry, Origin, Request};
use crate::preprocess::text::symbol_count;
use crate::random::Stream;
use crate::{
    DataDirs, DataError, DatasetInfo, InputKind, InputSpec, Normalization, OutputSpec,
    Preprocessing, PublishedPart, SharedDataset, Splits, TextLevel, words,
};

/// For the registry.
pub const ENTRY: Entry = Entry {
    name: "nlvr2",
    title: "NLVR2: is a sentence true of a pair of photographs? 107,292 examples",
    licence: "CC BY 4.0 (sentences); photographs on request, for research",
    origin: Origin::ByHand { find, recipe },
    counts: Some(counts),
    describe,
    open,
};

/// Names of the classes, in the order of the labels.
pub const CLASS_NAMES: [&str; 2] = ["false", "true"];

/// Height and width of images by default.
const SIZE: [usize; 2] = [64, 64];
/// Mean and deviation of ImageNet's pixels.
const MEAN: [f32; 3] = [0.485, 0.456, 0.406];
const STD: [f32; 3] = [0.229, 0.224, 0.225];
/// Longest sentence in symbols; the longest of dev has 241 bytes.
const MAX_SENTENCE: usize = 320;
/// Photographs that a message names at most.
const NAMED: usize = 5;
const VALIDATION_SEED: u64 = 0;

fn find(dirs: &DataDirs) -> Option<PathBuf> {
    let dirs = dirs.search();
    let mut candidates = dirs.iter().flat_map(|dir| {
        ["nlvr/nlvr2/data", "nlvr2/data", "nlvr2", ""].map(|inner| dir.join(inner))
    });
    candidates.find(|dir| dir.join("dev.json").is_file() && dir.join("test1.json").is_file())
}

fn recipe(dirs: &DataDirs) -> String {
    let folder = dirs.download_dir().join("nlvr");
    format!(
        "To get `nlvr2` by hand:\n  git clone --depth 1 https://github.com/lil-lab/nlvr {0}\n  \
         ask its authors for the photographs (the form is in nlvr2/README.md) and put them into\n  \
         {0}/nlvr2/data/images/<part>, or name a safetensors file with data.nlvr2.features;\n  \
         a folder elsewhere is named with --data-dir or {1}.",
        folder.display(),
        crate::DATA_DIR_VARIABLE,
    )
}

/// Examples of the parts in use.
fn counts(request: &Request<'_>) -> Vec<PublishedPart> {
    let config = &request.config.nlvr2;
    let train = config.train.iter().map(|part| part.published()).sum();
    let mut parts = vec![PublishedPart::new("train", train)];
    if !config.train.contains(&Nlvr2Part::Dev) {
        let dev = Nlvr2Part::Dev.published();
        parts.push(PublishedPart::new("validation", dev));
    }
    parts.push(PublishedPart::new("test", config.test.published()));
    parts
}

fn describe(request: &Request<'_>) -> Result<DatasetInfo, DataError> {
    request.config.nlvr2.check()?;
    if request.config.text.level == TextLevel::Words {
        return Ok(open(request)?.train.info().clone());
    }
    let photographs = photographs(request, Path::new(""))?;
    Ok(info(request, &photographs, &Preprocessing::Bytes {}))
}

fn photographs(request: &Request<'_>, root: &Path) -> Result<Photographs, DataError> {
    let image = &request.config.image;
    Ok(match &request.config.nlvr2.features {
        Some(file) => Photographs::Features(Features::open(file)?),
        None => {
            let size = image.size.unwrap_or(SIZE);
            Photographs::Files(root.into(), size, image.resize, image.filter)
        }
    })
}

/// Longest sentence in symbols.
fn longest(request: &Request<'_>) -> usize {
    request.config.text.max_len.min(MAX_SENTENCE)
}

fn info(request: &Request<'_>, photographs: &Photographs, how: &Preprocessing) -> DatasetInfo {
    let mut preprocessing = BTreeMap::from([("sentence".to_owned(), how.clone())]);
    let kind = match photographs {
        &Photographs::Files(_, [height, width], resize, filter) => {
            for side in ["left", "right"] {
                preprocessing.insert(side.into(), Preprocessing::Image { resize, filter });
            }
            InputKind::Image {
                channels: 3,
                height,
                width,
                normalization: Some(Normalization {
                    mean: MEAN.to_vec(),
                    std: STD.to_vec(),
                }),
            }
        }
        Photographs::Features(features) => InputKind::Features {
            items: features.shape[0],
            dim: features.shape[1],
            padded: false,
        },
    };
    let vocabulary = symbol_count(how);
    let sentence = InputKind::Tokens {
        vocabulary,
        max_len: longest(request),
        pad: 0,
    };
    DatasetInfo {
        name: ENTRY.name.into(),
        inputs: InputSpec::new("left", kind.clone())
            .with("right", kind)
            .with("sentence", sentence),
        output: OutputSpec::named(CLASS_NAMES),
        preprocessing,
    }
}

/// Reads the sentences; photographs are read when they are asked for, that they are there is checked at once.
fn open(request: &Request<'_>) -> Result<Splits, DataError> {
    let config = request.config;
    config.nlvr2.check()?;
    let root = config.path.clone().or_else(|| find(request.dirs));
    let root = root.ok_or_else(|| DataError::NotFound {
        name: ENTRY.name.into(),
        searched: request.dirs.search(),
        instructions: recipe(request.dirs),
    })?;
    let photographs = Arc::new(photographs(request, &root)?);
    let read = |part: Nlvr2Part| -> Result<Vec<Row>, DataError> {
        let rows = rows::read(&root, part)?;
        if rows.len() != part.published() {
            let (found, name, wanted) = (rows.len(), part.name(), part.published());
            let note = format!("nlvr2: {found} {name} examples, published are {wanted}");
            request.progress.note(&note);
        }
        Ok(rows)
    };
    let mut all = Vec::new();
    for &part in &config.nlvr2.train {
        all.extend(read(part)?);
    }
    let (train, validation) = if config.nlvr2.train.contains(&Nlvr2Part::Dev) {
        by_set(all)?
    } else {
        (all, read(Nlvr2Part::Dev)?)
    };
    let test = read(config.nlvr2.test)?;
    let how = match config.text.level {
        TextLevel::Bytes => Preprocessing::Bytes {},
        TextLevel::Words => {
            let texts = train.iter().map(|row| row.sentence.as_str());
            words::Vocabulary::learn(texts, config.text.vocabulary, config.text.min_count)
                .preprocessing()
        }
    };
    let info = Arc::new(info(request, &photographs, &how));
    let part = |rows: Vec<Row>| -> Result<SharedDataset, DataError> {
        let rows = readable(&photographs, rows, request)?;
        let max_len = longest(request);
        let pairs = Pairs::new(info.clone(), photographs.clone(), rows, &how, max_len)?;
        Ok(Arc::new(pairs))
    };
    Ok(Splits {
        train: part(train)?,
        validation: Some(part(validation)?),
        test: part(test)?,
    })
}

/// Splits off a tenth of the sets of photographs, chosen by a fixed seed.
fn by_set(rows: Vec<Row>) -> Result<(Vec<Row>, Vec<Row>), DataError> {
    let sets: BTreeSet<_> = rows.iter().map(|row| (row.part, row.set)).collect();
    if sets.len() < 2 {
        return Err(DataError::Config {
            field: "data.nlvr2.train".into(),
            reason: "all pairs are from one set of photographs; validation needs another".into(),
        });
    }
    let mut sets: Vec<_> = sets.into_iter().collect();
    Stream::new(VALIDATION_SEED, "nlvr2 validation", &[]).shuffle(&mut sets);
    sets.truncate((sets.len() / 10).max(1));
    let held: HashSet<_> = sets.into_iter().collect();
    let (validation, train) = rows
        .into_iter()
        .partition(|row| held.contains(&(row.part, row.set)));
    Ok((train, validation))
}

/// Examples whose two photographs are there: others are left out if asked, else the first is an error.
fn readable(
    photographs: &Photographs,
    rows: Vec<Row>,
    request: &Request<'_>,
) -> Result<Vec<Row>, DataError> {
    let check = |row: &Row| {
        let mut sides = [false, true].into_iter();
        sides.try_for_each(|is_right| photographs.check(row, is_right))
    };
    let checked: Vec<Result<(), DataError>> = rows.par_iter().map(check).collect();
    let total = rows.len();
    let (mut kept, mut errors) = (Vec::with_capacity(total), Vec::new());
    for (row, checked) in rows.into_iter().zip(checked) {
        match checked {
            Ok(()) => kept.push(row),
            Err(error) if request.config.skip_unreadable => errors.push(error),
            Err(error) => return Err(error),
        }
    }
    match errors.pop() {
        None => {}
        Some(error) if kept.is_empty() => return Err(error),
        Some(error) => {
            errors.push(error);
            let named = errors.iter().take(NAMED).map(ToString::to_string);
            let named = named.collect::<Vec<_>>().join("\n  ");
            let count = errors.len();
            request.progress.note(&format!(
                "{count} of {total} pairs cannot be read and are left out:\n  {named}"
            ));
        }
    }
    Ok(kept)
}

/// Reads the bytes of a part's file of JSON lines and returns the number of examples; `path` is for errors.
///
/// # Errors
/// [`DataError::CorruptLine`] with the line of what is no example, or occurs twice; [`DataError::CorruptFile`] if there is
/// none.
pub fn check_lines(path: &Path, bytes: &[u8], part: Nlvr2Part) -> Result<usize, DataError> {
    Ok(rows::parse(path, bytes, part)?.len())
}

/// Reads the header of a safetensors file of features and returns the tokens and dimension of its tensors; `path` is for
/// errors.
///
/// # Errors
/// [`DataError::CorruptFile`] for what is no such file, tensors of unlike shapes, or places beyond its end.
pub fn check_features(path: &Path, bytes: &[u8]) -> Result<[usize; 2], DataError> {
    Ok(Features::parse(path, bytes, bytes.len() as u64)?.shape)
}
