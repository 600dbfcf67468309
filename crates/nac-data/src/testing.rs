//! A data set in memory, for tests of code that takes a [`Dataset`].

use crate::random::Stream;
use crate::{Buffer, DataError, Dataset, DatasetInfo, Example, InputKind, Values};

/// Examples held in a vector.
///
/// ```
/// use nac_data::{Dataset, testing::InMemory};
/// let pictures = InMemory::images(10, 3, 8, 8, 2);
/// assert_eq!(pictures.get(3).unwrap().label, 1);
/// ```
#[derive(Clone, Debug)]
pub struct InMemory {
    info: DatasetInfo,
    examples: Vec<Example>,
    cheap_labels: bool,
    fail_at: Option<usize>,
}

impl InMemory {
    /// Takes examples as they are, without a check.
    #[must_use]
    pub fn new(info: DatasetInfo, examples: Vec<Example>) -> Self {
        Self {
            info,
            examples,
            cheap_labels: true,
            fail_at: None,
        }
    }

    /// `len` pictures of fixed noise with labels 0, 1, …, `classes − 1`, 0, …; each picture is
    /// brighter the higher its label, so a model can learn the task.
    #[must_use]
    pub fn images(
        len: usize,
        channels: usize,
        height: usize,
        width: usize,
        classes: usize,
    ) -> Self {
        let classes = classes.max(1);
        let shape = vec![channels, height, width];
        let example = |index: usize| {
            let label = index % classes;
            let mut stream = Stream::new(0, "testing images", &[index as u64]);
            let low = (label * 192 / classes) as u64;
            let pixels = (0..channels * height * width).map(|_| (low + stream.below(64)) as u8);
            let image = Buffer::new(shape.clone(), Values::U8(pixels.collect()));
            let image = image.unwrap_or_else(|_| Buffer::tokens(Vec::new()));
            Example {
                inputs: vec![("image".into(), image)],
                label,
            }
        };
        let (mean, std) = (vec![0.5; channels], vec![0.25; channels]);
        let kind = InputKind::Image {
            channels,
            height,
            width,
            mean,
            std,
        };
        let inputs = vec![("image".into(), kind)];
        let info = DatasetInfo {
            name: "in-memory images".into(),
            classes,
            inputs,
        };
        Self::new(info, (0..len).map(example).collect())
    }

    /// `len` token sequences of lengths 1 to `max_len`; ids are 1 to `vocabulary − 1`, 0 pads.
    /// The label is the first token modulo `classes`.
    #[must_use]
    pub fn tokens(len: usize, vocabulary: usize, max_len: usize, classes: usize) -> Self {
        let (classes, max_len) = (classes.max(1), max_len.max(1));
        let example = |index: usize| {
            let mut stream = Stream::new(0, "testing tokens", &[index as u64]);
            let length = 1 + stream.below(max_len as u64);
            let id = |_| 1 + stream.below(vocabulary.saturating_sub(1).max(1) as u64) as i64;
            let ids: Vec<i64> = (0..length).map(id).collect();
            let label = ids[0] as usize % classes;
            Example {
                inputs: vec![("tokens".into(), Buffer::tokens(ids))],
                label,
            }
        };
        let kind = InputKind::Tokens {
            vocabulary,
            max_len,
            pad: 0,
        };
        let inputs = vec![("tokens".into(), kind)];
        let info = DatasetInfo {
            name: "in-memory tokens".into(),
            classes,
            inputs,
        };
        Self::new(info, (0..len).map(example).collect())
    }

    /// Makes [`Dataset::label`] answer `None`.
    #[must_use]
    pub fn without_cheap_labels(mut self) -> Self {
        self.cheap_labels = false;
        self
    }

    /// Makes reading one example an error, as a broken file would.
    #[must_use]
    pub fn failing_at(mut self, index: usize) -> Self {
        self.fail_at = Some(index);
        self
    }

    /// A copy of the description.
    #[must_use]
    pub fn info_owned(&self) -> DatasetInfo {
        self.info.clone()
    }
}

impl Dataset for InMemory {
    fn info(&self) -> &DatasetInfo {
        &self.info
    }

    fn len(&self) -> usize {
        self.examples.len()
    }

    fn get(&self, index: usize) -> Result<Example, DataError> {
        self.check(index)?;
        if self.fail_at == Some(index) {
            return Err(DataError::CorruptFile {
                path: "in-memory".into(),
                offset: index as u64,
                reason: "made to fail".into(),
            });
        }
        Ok(self.examples[index].clone())
    }

    fn label(&self, index: usize) -> Option<usize> {
        if !self.cheap_labels {
            return None;
        }
        self.examples.get(index).map(|example| example.label)
    }
}
