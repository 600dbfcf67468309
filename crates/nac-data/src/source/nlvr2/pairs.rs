//! Sentences about pairs of photographs as a [`Dataset`].

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::features::Features;
use super::rows::Row;
use crate::preprocess::text;
use crate::random::Stream;
use crate::{
    Buffer, DataError, Dataset, DatasetInfo, Example, Preprocessing, Resize, ResizeFilter, Target,
    image_file,
};

/// Draws the order of examples, which no setting changes.
const ORDER_SEED: u64 = 0;

/// From what a photograph becomes an input.
#[derive(Debug)]
pub(super) enum Photographs {
    /// Its file in this folder, as an image of this height and width.
    Files(PathBuf, [usize; 2], Resize, ResizeFilter),
    /// Pre-computed features.
    Features(Features),
}

impl Photographs {
    /// The left or the right photograph of an example: `u8 [3, height, width]` or `f32 [tokens, dim]`.
    fn read(&self, row: &Row, is_right: bool) -> Result<Buffer, DataError> {
        match self {
            Self::Files(root, [height, width], resize, filter) => {
                let size = [3, *height, *width];
                image_file::prepare(&file(root, row, is_right), size, *resize, *filter)
            }
            Self::Features(features) => features.read(&row.photograph(is_right)),
        }
    }

    /// Checks that a photograph is there; of a file, its header.
    pub(super) fn check(&self, row: &Row, is_right: bool) -> Result<(), DataError> {
        match self {
            Self::Files(root, ..) => {
                image_file::check_header(&file(root, row, is_right)).map(|_| ())
            }
            Self::Features(features) => {
                let name = row.photograph(is_right);
                if features.has(&name) {
                    Ok(())
                } else {
                    Err(features.missing(&name))
                }
            }
        }
    }
}

/// The file of a photograph: the first place where one is, else the first place.
fn file(root: &Path, row: &Row, is_right: bool) -> PathBuf {
    let mut files = row.files(root, is_right);
    let found = files.iter().position(|file| file.is_file()).unwrap_or(0);
    files.swap_remove(found)
}

/// The examples of a part.
pub(super) struct Pairs {
    info: Arc<DatasetInfo>,
    photographs: Arc<Photographs>,
    rows: Vec<Row>,
    /// Symbols of the sentence of each example.
    sentences: Vec<Buffer>,
}

impl Pairs {
    /// These examples, in an order drawn by a fixed seed.
    pub(super) fn new(
        info: Arc<DatasetInfo>,
        photographs: Arc<Photographs>,
        mut rows: Vec<Row>,
        how: &Preprocessing,
        max_len: usize,
    ) -> Result<Self, DataError> {
        Stream::new(ORDER_SEED, "nlvr2 order", &[]).shuffle(&mut rows);
        let sentence = |row: &Row| text::symbols(row.sentence.as_bytes(), "sentence", max_len, how);
        let sentences = rows.iter().map(sentence).collect::<Result<_, _>>()?;
        Ok(Self {
            info,
            photographs,
            rows,
            sentences,
        })
    }
}

impl Dataset for Pairs {
    fn info(&self) -> &DatasetInfo {
        &self.info
    }

    fn len(&self) -> usize {
        self.rows.len()
    }

    fn get(&self, index: usize) -> Result<Example, DataError> {
        self.check(index)?;
        let (row, sentence) = (&self.rows[index], &self.sentences[index]);
        let inputs = vec![
            ("left".into(), self.photographs.read(row, false)?),
            ("right".into(), self.photographs.read(row, true)?),
            ("sentence".into(), sentence.clone()),
        ];
        Ok(Example {
            inputs,
            target: Target::Class(row.class),
        })
    }

    fn class(&self, index: usize) -> Option<usize> {
        self.rows.get(index).map(|row| row.class)
    }

    fn unit(&self, index: usize) -> Option<u64> {
        let row = self.rows.get(index)?;
        Some((row.part as u64) << 32 | u64::from(row.set))
    }
}
