//! NLVR: is a statement true of a drawing of three boxes with coloured shapes?
//!
//! Suhr et al., *A Corpus of Natural Language for Visual Reasoning* (ACL 2017), <https://github.com/lil-lab/nlvr>, CC BY 4.0:
//! statements 12,410 / 989 / 990 (train, dev, public test), each with six PNG drawings 400×100 that show its boxes in the
//! six orders. Files: `<part>/<part>.json` (JSON lines) and `<part>/images/<directory>/<part>-<identifier>-<0…5>.png`; no
//! digests are published.
//!
//! From pixels an example is a statement with one of its drawings, as the authors evaluate; from objects
//! (`structured_rep`) it is a statement.
//!
//! The second number of an identifier nearly gives the label away: on dev, 0 and 1 are mostly true, 2 and 3 false. So
//! neither identifiers nor names of files are inputs, and examples are in an order drawn by a fixed seed. Validation is
//! whole image directories of the training parts, as the authors advise: they keep all statements and drawings of one
//! presentation together.

mod config;
mod objects;
mod rows;
mod statements;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;

pub use config::{NlvrConfig, NlvrInput, NlvrPart};
pub use objects::{MAX_OBJECTS, OBJECT_DIM};
pub use statements::DRAWINGS;

use self::rows::Row;
use self::statements::{Form, Statements};
use super::{Entry, Origin, Request};
use crate::preprocess::text::symbol_count;
use crate::random::Stream;
use crate::{
    DataDirs, DataError, DatasetInfo, InputKind, InputSpec, Normalization, OutputSpec,
    Preprocessing, PublishedPart, SharedDataset, Splits, TextLevel, image_file, words,
};

/// For the registry.
pub const ENTRY: Entry = Entry {
    name: "nlvr",
    title: "NLVR: is a statement true of a drawing? 14,389 statements with six drawings each",
    licence: "CC BY 4.0",
    origin: Origin::ByHand { find, recipe },
    counts: Some(counts),
    describe,
    open,
};

/// Names of the classes, in the order of the labels.
pub const CLASS_NAMES: [&str; 2] = ["false", "true"];

/// Height and width of the drawings.
const SIZE: [usize; 2] = [100, 400];
/// Mean and deviation of the pixels of training drawings.
const MEAN: [f32; 3] = [0.698, 0.717, 0.699];
const STD: [f32; 3] = [0.233, 0.197, 0.232];
/// Longest sentence in symbols; the longest of the 1,000 training sentences looked at has 113 bytes.
const MAX_SENTENCE: usize = 256;
/// Files that a message names at most.
const NAMED: usize = 5;
const VALIDATION_SEED: u64 = 0;

fn find(dirs: &DataDirs) -> Option<PathBuf> {
    let candidates = dirs
        .search()
        .into_iter()
        .flat_map(|dir| [dir.join("nlvr/nlvr"), dir.join("nlvr"), dir]);
    candidates
        .into_iter()
        .find(|dir| dir.join("train/train.json").is_file() && dir.join("train/images").is_dir())
}

fn recipe(dirs: &DataDirs) -> String {
    let folder = dirs.download_dir().join("nlvr");
    format!(
        "To get `nlvr` by hand:\n  git clone --depth 1 https://github.com/lil-lab/nlvr {}\n  \
         or clone it elsewhere and name the folder above it with --data-dir or {}.",
        folder.display(),
        crate::DATA_DIR_VARIABLE,
    )
}

/// Examples of the parts in use: statements, each with its drawings if these are inputs.
fn counts(request: &Request<'_>) -> Vec<PublishedPart> {
    let config = &request.config.nlvr;
    let each = match config.input {
        NlvrInput::Image => DRAWINGS,
        NlvrInput::Objects => 1,
    };
    let train: usize = config.train.iter().map(|part| part.published()).sum();
    vec![
        PublishedPart::new("train", train * each),
        PublishedPart::new("test", config.test.published() * each),
    ]
}

fn describe(request: &Request<'_>) -> Result<DatasetInfo, DataError> {
    request.config.nlvr.check()?;
    if request.config.text.level == TextLevel::Words {
        return Ok(open(request)?.train.info().clone());
    }
    Ok(form(request, PathBuf::new(), Preprocessing::Bytes {}).info)
}

fn form(request: &Request<'_>, root: PathBuf, how: Preprocessing) -> Form {
    let config = request.config;
    let max_len = config.text.max_len.min(MAX_SENTENCE);
    let size = config.image.size.unwrap_or(SIZE);
    let vocabulary = symbol_count(&how);
    let sentence = InputKind::Tokens {
        vocabulary,
        max_len,
        pad: 0,
    };
    let (resize, filter) = (config.image.resize, config.image.filter);
    let mut preprocessing = BTreeMap::from([("sentence".to_owned(), how.clone())]);
    let (name, scene) = match config.nlvr.input {
        NlvrInput::Image => {
            let how = Preprocessing::Image { resize, filter };
            preprocessing.insert("image".into(), how);
            let kind = InputKind::Image {
                channels: 3,
                height: size[0],
                width: size[1],
                normalization: Some(Normalization {
                    mean: MEAN.to_vec(),
                    std: STD.to_vec(),
                }),
            };
            ("image", kind)
        }
        NlvrInput::Objects => {
            let kind = InputKind::Features {
                items: MAX_OBJECTS,
                dim: OBJECT_DIM,
                padded: true,
            };
            ("objects", kind)
        }
    };
    let info = DatasetInfo {
        name: ENTRY.name.into(),
        inputs: InputSpec::new(name, scene).with("sentence", sentence),
        output: OutputSpec::named(CLASS_NAMES),
        preprocessing,
    };
    Form {
        info,
        root,
        input: config.nlvr.input,
        size,
        resize,
        filter,
        how,
        max_len,
    }
}

/// Reads the statements; drawings are decoded when they are asked for, their headers are checked at once.
fn open(request: &Request<'_>) -> Result<Splits, DataError> {
    let config = request.config;
    config.nlvr.check()?;
    let root = config.path.clone().or_else(|| find(request.dirs));
    let root = root.ok_or_else(|| DataError::NotFound {
        name: ENTRY.name.into(),
        searched: request.dirs.search(),
        instructions: recipe(request.dirs),
    })?;
    let read = |part: NlvrPart| -> Result<Vec<Row>, DataError> {
        let rows = rows::read(&root, part, config.nlvr.input)?;
        if rows.len() != part.published() {
            let (found, name, wanted) = (rows.len(), part.name(), part.published());
            let note = format!("nlvr: {found} {name} statements, published are {wanted}");
            request.progress.note(&note);
        }
        Ok(rows)
    };
    let mut all = Vec::new();
    for &part in &config.nlvr.train {
        all.extend(read(part)?);
    }
    let (train, validation) = by_directory(all)?;
    let test = read(config.nlvr.test)?;
    let how = match config.text.level {
        TextLevel::Bytes => Preprocessing::Bytes {},
        TextLevel::Words => {
            let texts = train.iter().map(|row| row.sentence.as_str());
            words::Vocabulary::learn(texts, config.text.vocabulary, config.text.min_count)
                .preprocessing()
        }
    };
    let form = Arc::new(form(request, root, how));
    let part = |rows: Vec<Row>| -> Result<SharedDataset, DataError> {
        let lost = unreadable(&form, &rows, request)?;
        let keep = |row: usize, drawing: usize| !lost.contains(&(row, drawing));
        Ok(Arc::new(Statements::new(form.clone(), rows, keep)?))
    };
    Ok(Splits {
        train: part(train)?,
        validation: Some(part(validation)?),
        test: part(test)?,
    })
}

/// Splits off whole image directories, chosen by a fixed seed, until they have a tenth of the statements.
fn by_directory(rows: Vec<Row>) -> Result<(Vec<Row>, Vec<Row>), DataError> {
    let mut sizes = BTreeMap::<(NlvrPart, u32), usize>::new();
    for row in &rows {
        *sizes.entry((row.part, row.directory)).or_default() += 1;
    }
    if sizes.len() < 2 {
        return Err(DataError::Config {
            field: "data.nlvr.train".into(),
            reason: "the statements are of one image directory; validation needs another".into(),
        });
    }
    let mut directories: Vec<_> = sizes.into_iter().collect();
    Stream::new(VALIDATION_SEED, "nlvr validation", &[]).shuffle(&mut directories);
    directories.pop();
    let (wanted, mut count) = (rows.len().div_ceil(10), 0);
    let mut held = HashSet::new();
    for (directory, size) in directories {
        if count < wanted {
            count += size;
            held.insert(directory);
        }
    }
    let (validation, train) = rows
        .into_iter()
        .partition(|row| held.contains(&(row.part, row.directory)));
    Ok((train, validation))
}

/// Reads the bytes of a part's file of JSON lines and returns the number of statements; `path` is for errors.
///
/// # Errors
/// [`DataError::CorruptLine`] with the line of what is no statement, or occurs twice; [`DataError::CorruptFile`] if there is
/// none.
pub fn check_lines(
    path: &Path,
    bytes: &[u8],
    part: NlvrPart,
    input: NlvrInput,
) -> Result<usize, DataError> {
    Ok(rows::parse(path, bytes, part, input)?.len())
}

/// Drawings whose headers cannot be read: left out if asked, else the first is an error.
fn unreadable(
    form: &Form,
    rows: &[Row],
    request: &Request<'_>,
) -> Result<HashSet<(usize, usize)>, DataError> {
    if form.input == NlvrInput::Objects {
        return Ok(HashSet::new());
    }
    let check = |(row, drawing): (usize, usize)| {
        let path = rows.get(row)?.drawing(&form.root, drawing);
        let error = image_file::check_header(&path).err()?;
        Some(((row, drawing), error))
    };
    let all = (0..rows.len() * DRAWINGS).into_par_iter();
    let lost: Vec<_> = all
        .filter_map(|i| check((i / DRAWINGS, i % DRAWINGS)))
        .collect();
    if lost.is_empty() {
        return Ok(HashSet::new());
    }
    let (places, mut errors): (HashSet<_>, Vec<_>) = lost.into_iter().unzip();
    if !request.config.skip_unreadable || errors.len() == rows.len() * DRAWINGS {
        return Err(errors.swap_remove(0));
    }
    let named: Vec<String> = errors.iter().take(NAMED).map(ToString::to_string).collect();
    request.progress.note(&format!(
        "{} of {} drawings cannot be read and are left out:\n  {}",
        errors.len(),
        rows.len() * DRAWINGS,
        named.join("\n  ")
    ));
    Ok(places)
}
