//! Statements about drawings as a [`Dataset`].

use std::path::PathBuf;
use std::sync::Arc;

use super::config::NlvrInput;
use super::objects::OBJECT_DIM;
use super::rows::Row;
use crate::preprocess::text;
use crate::random::Stream;
use crate::{
    Buffer, DataError, Dataset, DatasetInfo, Example, Preprocessing, Resize, ResizeFilter, Target,
    Values, image_file,
};

/// Drawings of a statement: the six orders of its three boxes.
pub const DRAWINGS: usize = 6;
/// Draws the order of examples, which no setting changes.
const ORDER_SEED: u64 = 0;

/// How drawings and sentences become inputs.
#[derive(Debug)]
pub(super) struct Form {
    pub(super) info: DatasetInfo,
    pub(super) root: PathBuf,
    pub(super) input: NlvrInput,
    /// Height and width of images.
    pub(super) size: [usize; 2],
    pub(super) resize: Resize,
    pub(super) filter: ResizeFilter,
    /// How sentences become symbols.
    pub(super) how: Preprocessing,
    /// Longest sentence in symbols.
    pub(super) max_len: usize,
}

/// The statements of a part: with each of their drawings, or once with their objects.
pub(super) struct Statements {
    form: Arc<Form>,
    rows: Vec<Row>,
    /// Symbols of each statement.
    sentences: Vec<Buffer>,
    /// Statement and drawing of each example.
    order: Vec<(usize, usize)>,
}

impl Statements {
    /// These statements with the drawings for which `keep` says so, in an order drawn by a fixed seed.
    pub(super) fn new(
        form: Arc<Form>,
        rows: Vec<Row>,
        keep: impl Fn(usize, usize) -> bool,
    ) -> Result<Self, DataError> {
        let drawings = match form.input {
            NlvrInput::Image => DRAWINGS,
            NlvrInput::Objects => 1,
        };
        let all = (0..rows.len()).flat_map(|row| (0..drawings).map(move |drawing| (row, drawing)));
        let mut order: Vec<(usize, usize)> =
            all.filter(|&(row, drawing)| keep(row, drawing)).collect();
        Stream::new(ORDER_SEED, "nlvr order", &[]).shuffle(&mut order);
        let sentence =
            |row: &Row| text::symbols(row.sentence.as_bytes(), "sentence", form.max_len, &form.how);
        let sentences = rows.iter().map(sentence).collect::<Result<_, _>>()?;
        Ok(Self {
            form,
            rows,
            sentences,
            order,
        })
    }

    fn at(&self, index: usize) -> Option<(&Row, &Buffer, usize)> {
        let &(row, drawing) = self.order.get(index)?;
        Some((self.rows.get(row)?, self.sentences.get(row)?, drawing))
    }
}

impl Dataset for Statements {
    fn info(&self) -> &DatasetInfo {
        &self.form.info
    }

    fn len(&self) -> usize {
        self.order.len()
    }

    fn get(&self, index: usize) -> Result<Example, DataError> {
        self.check(index)?;
        let Some((row, sentence, drawing)) = self.at(index) else {
            return Err(DataError::Index {
                dataset: self.form.info.name.clone(),
                index,
                len: self.len(),
            });
        };
        let form = &self.form;
        let (name, scene) = match form.input {
            NlvrInput::Image => {
                let [height, width] = form.size;
                let path = row.drawing(&form.root, drawing);
                let size = [3, height, width];
                let image = image_file::prepare(&path, size, form.resize, form.filter)?;
                ("image", image)
            }
            NlvrInput::Objects => {
                let shape = vec![row.objects.len() / OBJECT_DIM, OBJECT_DIM];
                let objects = Buffer::new(shape, Values::F32(row.objects.clone()))?;
                ("objects", objects)
            }
        };
        Ok(Example {
            inputs: vec![(name.into(), scene), ("sentence".into(), sentence.clone())],
            target: Target::Class(row.class),
        })
    }

    fn class(&self, index: usize) -> Option<usize> {
        self.at(index).map(|(row, ..)| row.class)
    }

    fn unit(&self, index: usize) -> Option<u64> {
        let (row, ..) = self.at(index)?;
        Some((row.part as u64) << 32 | u64::from(row.presentation))
    }
}
